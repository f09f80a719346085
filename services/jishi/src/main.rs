//! The exchange.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use jishi::{Result, config::Config, roles::Role};

/// Jishi (技市), the back end of a technology exchange.
#[derive(Parser)]
#[command(name = "jishi", version)]
struct Jishi {
    /// Configuration file; ./jishi.toml if absent.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the exchange, or some of its roles (this is the default).
    Serve {
        /// Run these roles only; the others are reached at their configured addresses.
        #[arg(long, value_delimiter = ',')]
        only: Option<Vec<Role>>,
    },
    /// Bring all databases to the newest schema.
    Migrate,
    /// Put demo data in place (development), or the first exchange centre and its administrator.
    Seed(jishi::seed::Arguments),
    /// Take achievements and draft listings from files of others.
    Import(jishi::import::Arguments),
    /// Print the GraphQL schema.
    Schema,
    /// Play one deal and one financing on an exchange of its own, and check what came of them.
    Demo(jishi::demo::Demo),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Jishi::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jishi: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(Jishi { config, verb }: Jishi) -> Result<()> {
    let read = || Config::read(config.as_deref());
    match verb.unwrap_or(Verb::Serve { only: None }) {
        Verb::Serve { only } => jishi::serve::serve(read()?, only).await,
        Verb::Migrate => jishi::migrate(&read()?).await,
        Verb::Seed(arguments) => jishi::seed::run(&read()?, arguments).await,
        Verb::Import(arguments) => jishi::import::import(&read()?, &arguments).await,
        Verb::Schema => jishi::schema::print(),
        Verb::Demo(demo) => jishi::demo::show(demo, std::io::stdout()).await,
    }
}
