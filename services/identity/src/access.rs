//! How people get in: passwords, second factors, sessions, keys for tools, providers' word.

pub mod api_key;
pub mod authenticate;
pub mod caller;
pub mod change_password;
pub mod federated;
pub mod login;
pub mod login_attempts;
pub mod password;
pub mod reauthenticate;
pub mod second_factor;
pub mod session;
pub mod settings;
pub mod sign_in;
pub mod sign_up;
pub mod signing_key;
mod token;
pub mod totp;
