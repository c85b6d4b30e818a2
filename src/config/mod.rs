//! The vendor's `client-config.json`.
