"""Value sets: what their definitions select, page by page, and whether a code is one of them."""
