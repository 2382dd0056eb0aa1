//! Support of the end-to-end tests.
