//! Why a database cannot be reached, in words for its operator: a pool of connections tells only that it waited in vain.

use std::{io::ErrorKind, str::FromStr, time::Duration};

use sea_orm::sqlx::{
    Connection, Error as Fault,
    postgres::{PgConnectOptions, PgConnection},
};

/// How long a server may take to answer one who comes alone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a PostgreSQL server once, and says what hinders; nothing if it lets us in. No password is told.
pub async fn why_not(url: &str) -> Option<String> {
    let options = match PgConnectOptions::from_str(url) {
        Ok(options) => options,
        Err(fault) => return Some(format!("the URL cannot be read: {fault}")),
    };
    let (host, port, user) = (options.get_host(), options.get_port(), options.get_username());
    let place = format!("{host}:{port}");
    match tokio::time::timeout(PATIENCE, PgConnection::connect_with(&options)).await {
        Ok(Ok(connection)) => {
            drop(connection.close().await);
            None
        }
        Ok(Err(Fault::Io(fault))) if fault.kind() == ErrorKind::ConnectionRefused => {
            Some(format!("nothing listens at {place}: is PostgreSQL running there, and is the port right?"))
        }
        Ok(Err(Fault::Io(fault))) => Some(format!("{place} cannot be reached: {fault}")),
        Ok(Err(Fault::Database(told))) => Some(match told.code().as_deref() {
            Some("28P01" | "28000") => format!("{place} refuses the user {user:?} or the password: {}", told.message()),
            Some("3D000") => format!("{place} has no such database: {}", told.message()),
            Some("53300") => format!("{place} has no connection left for us: {}", told.message()),
            _ => format!("{place} answers: {}", told.message()),
        }),
        Ok(Err(fault)) => Some(format!("{place}: {fault}")),
        Err(_) => Some(format!("{place} takes connections and does not answer within {} seconds", PATIENCE.as_secs())),
    }
}
