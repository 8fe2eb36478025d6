"""What the user asks of each command. Every option is declared here, once, on its field."""
