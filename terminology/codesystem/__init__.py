"""Code systems, one provider each: what a code means, what stands above and below it, and which codes a filter selects."""
