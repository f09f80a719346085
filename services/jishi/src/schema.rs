use std::io::{Write, stdout};

use crate::Result;

/// Prints the GraphQL schema.
pub fn print() -> Result<()> {
    let sdl = gateway::schema(gateway::Mode::Development).sdl();
    Ok(writeln!(stdout(), "{}", sdl.trim_end())?)
}

/// Prints the permission matrix.
pub fn print_permissions() -> Result<()> {
    Ok(write!(stdout(), "{}", gateway::permissions()?)?)
}
