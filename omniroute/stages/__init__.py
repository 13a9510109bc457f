"""What a request goes through, one stage a file. Built by name, through the registry."""
