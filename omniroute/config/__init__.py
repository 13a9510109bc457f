"""From text to checked, frozen settings. Opens files; knows no HTTP."""
