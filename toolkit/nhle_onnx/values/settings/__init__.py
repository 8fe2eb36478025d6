"""The settings of each command. Every option is declared once, on its field."""
