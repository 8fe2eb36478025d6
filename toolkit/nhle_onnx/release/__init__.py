"""What is shipped: reports, pages, patches, kits, signatures."""
