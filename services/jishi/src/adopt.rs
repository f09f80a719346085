//! The verb `adopt`: rows, lots and a schema that an older program wrote, or an administrator by hand, count as they stand from now
//! on. What they are is told first.

use std::io::{IsTerminal, Write, stdin};

use kernel::{
    Clock,
    audit_log::{adopt::Adopted, adoptable::adoptable},
    catalogue,
};

use crate::{
    Result,
    config::Config,
    database::{Databases, Ground, OtherSchema},
    roles::{Role, Roles},
};

/// Whether it is to be done.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Arguments {
    /// Takes in what is told; without it that is asked, or, where nobody sits at a terminal, only told.
    #[arg(long)]
    pub yes: bool,
}

/// Tells what would be taken in, and takes it into the audit log, which says so.
pub async fn run(config: &Config, arguments: Arguments, mut out: impl Write) -> Result<()> {
    let roles = Roles::new(None);
    let lines = match Databases::open_to_look(config, &roles, &Clock::system()).await {
        Ok(databases) => {
            let mut lines = Vec::new();
            for ground in databases.grounds() {
                lines.extend(told(ground).await?);
            }
            databases.close().await;
            lines
        }
        Err(error) if error.is::<OtherSchema>() => {
            vec![error.to_string(), "rows are not looked at before".to_owned()]
        }
        Err(error) => return Err(error),
    };
    for line in &lines {
        writeln!(out, "{line}")?;
    }
    if lines.is_empty() {
        let all = "every row, every lot and the schema are as the exchange left them; nothing is taken in";
        return Ok(writeln!(out, "{all} (the log itself: `jishi verify`)")?);
    }
    if !arguments.yes && !agreed(&mut out)? {
        return Err("nothing was taken in; `jishi adopt --yes` does it".into());
    }
    let databases = Databases::open_to_adopt(config, &roles, &Clock::system()).await?;
    for ground in databases.grounds() {
        let (Adopted { rows, events }, lots) = ground.adopt().await?;
        let objects = ground.adopted_schema.len();
        for object in &ground.adopted_schema {
            writeln!(out, "schema: {object}")?;
        }
        writeln!(
            out,
            "{rows} rows, {events} events, {lots} lots and {objects} objects of the schema count as they stand"
        )?;
    }
    databases.close().await;
    Ok(())
}

/// What would be taken in, line by line.
async fn told(ground: &Ground) -> Result<Vec<String>> {
    let (db, vault) = (&ground.context.db, &ground.context.vault);
    let mut lines = Vec::new();
    if let Some(recorded) = catalogue::recorded(db.read(), vault).await? {
        let differences = recorded.differences(db.read()).await?;
        lines.extend(differences.into_iter().map(|difference| format!("schema: {difference}")));
    }
    let mut found = adoptable(db, vault).await?;
    if ground.services.contains(&Role::Auction.name()) {
        for lot in auction::adoptable(&ground.context).await? {
            found.add("bidding_session", "not as the last round left it", format!("id={lot}"));
        }
    }
    lines.extend(found.lines());
    Ok(lines)
}

/// Asks whoever sits at a terminal.
fn agreed(mut out: impl Write) -> Result<bool> {
    if !stdin().is_terminal() {
        return Ok(false);
    }
    write!(out, "Does all this count as it stands from now on? (yes/no) ")?;
    out.flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
