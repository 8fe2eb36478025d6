"""Good files, changed at random where their structure can break, and what commands make of them."""
