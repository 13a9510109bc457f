"""Facts about providers: URLs, formats, models, prices, limits and quirks. Data; a new provider is one file here."""
