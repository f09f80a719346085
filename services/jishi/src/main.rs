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
    /// Load a public code list: regions (gbt2260) or industries (gbt4754).
    Codes(jishi::codes::Arguments),
    /// Copy all databases into a new folder while the exchange is at work (docs/operating.md).
    Backup(jishi::backup::Arguments),
    /// Put a backup into empty databases, verify it, and say up to which record it goes (docs/operating.md).
    Restore(jishi::backup::restore::Arguments),
    /// Let a new master key (JISHI_NEW_MASTER_KEY) open the databases in place of the present one (docs/design/keys.md).
    RotateMasterKey,
    /// Recompute the audit log, or a lot from its published bundle, and name the first record that was changed, deleted,
    /// inserted or reordered.
    Verify(jishi::verify::Arguments),
    /// Let rows that an older program wrote, or an administrator by hand, count as they stand: the audit log says so
    /// (docs/operating.md).
    Adopt(jishi::adopt::Arguments),
    /// Print the newest signed head of every service's audit log, to be kept elsewhere (docs/operating.md).
    Heads,
    /// Print the present code of a demo account's second factor, or of any authenticator's secret.
    Code(jishi::code::Arguments),
    /// Print the GraphQL schema.
    Schema,
    /// Print who may do what: every field of the schema, every role (docs/permissions.md).
    Permissions,
    /// Print a manifest of the operations in the given files or folders (.graphql), for `operations_file`.
    Operations {
        /// Each file is one document, sent exactly as it stands there.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Seal a bid to a lot's key, on the bidder's own machine (docs/sealed-bids.md).
    Seal(jishi::sealed::Offer),
    /// What trustees of sealed bids do on their own machines.
    #[command(subcommand)]
    Trustee(jishi::sealed::Trustee),
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
        Verb::Codes(arguments) => jishi::codes::run(&read()?, &arguments, std::io::stdout()).await,
        Verb::Backup(arguments) => jishi::backup::run(&read()?, &arguments, std::io::stdout()).await,
        Verb::Restore(arguments) => jishi::backup::restore::run(&read()?, &arguments, std::io::stdout()).await,
        Verb::RotateMasterKey => jishi::rotation::run(&read()?, std::io::stdout()).await,
        Verb::Verify(arguments) => jishi::verify::run(read, &arguments, std::io::stdout()).await,
        Verb::Adopt(arguments) => jishi::adopt::run(&read()?, arguments, std::io::stdout()).await,
        Verb::Heads => jishi::heads::run(&read()?, std::io::stdout()).await,
        Verb::Code(arguments) => jishi::code::run(read, arguments).await,
        Verb::Schema => jishi::schema::print(),
        Verb::Permissions => jishi::schema::print_permissions(),
        Verb::Operations { files } => jishi::operations::print(&files),
        Verb::Seal(offer) => jishi::sealed::print_sealed(&offer, std::io::stdout()),
        Verb::Trustee(trustee) => jishi::sealed::print_trustee(&trustee, std::io::stdout()),
        Verb::Demo(demo) => jishi::demo::show(demo, std::io::stdout()).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_base64url_may_begin_with_a_hyphen() {
        let key = format!("-{}", "U".repeat(42));
        assert!(Jishi::try_parse_from(["jishi", "verify", "--key", &key, "bundle.ndjson"]).is_ok());
        let share = ["jishi", "trustee", "share", "--key", "trustee.key", "--share", &key];
        assert!(Jishi::try_parse_from(share).is_ok());
    }
}
