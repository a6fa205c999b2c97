//! The bus from outside.
