//! `jishi code`: the present code of an authenticator, for whoever tries the exchange out without one.

use std::io::{Write, stdout};

use identity::Authenticator;
use kernel::Clock;

use crate::{
    Result,
    config::Config,
    database::Databases,
    drill::Drill,
    roles::{Role, Roles},
    seed,
};

/// What `jishi code` takes.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Arguments {
    /// A demo account. Its code is for the time of the configured development exchange.
    pub login: Option<String>,
    /// A secret in base32, as enrolSecondFactor told it. Its code is for this machine's time.
    #[arg(long, value_name = "BASE32")]
    pub secret: Option<String>,
}

/// Prints the code.
pub async fn run(config: impl FnOnce() -> Result<Config>, arguments: Arguments) -> Result<()> {
    let (authenticator, now) = match (arguments.login, arguments.secret) {
        (_, Some(secret)) => {
            let authenticator = Authenticator::parse(&secret).ok_or("no secret: 26 characters of base32 or more")?;
            (authenticator, Clock::system().now())
        }
        (Some(login), None) => {
            let config = config()?;
            let known = seed::authenticator(&login)?.filter(|_| config.plants_demo());
            let authenticator = known.ok_or("no demo account of that name has a second factor here")?;
            let (roles, clock) = (Roles::new(Some(vec![Role::Identity])), Clock::system());
            let databases = Databases::open_to_look(&config, &roles, &clock).await?;
            Drill::resume(&config, &databases, &clock).await?;
            databases.close().await;
            (authenticator, clock.now())
        }
        (None, None) => return Err("a login or --secret".into()),
    };
    Ok(writeln!(stdout(), "{}", authenticator.code(now))?)
}
