//! Deals, contracts, signing, registration
