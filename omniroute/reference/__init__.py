"""The reference pages, made from the declarations: what the code says of itself, as Markdown."""
