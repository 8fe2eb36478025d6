"""Other unlearning methods, each written from its published formula."""
