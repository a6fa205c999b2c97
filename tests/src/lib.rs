//! Black-box tests: clients against a running hub.
