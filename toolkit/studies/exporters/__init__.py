"""What exporters write today, each made forgetful by the tool's defaults."""
