"""The ground floor: plain values that every other floor shares."""
