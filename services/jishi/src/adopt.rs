//! The verb `adopt`: rows and lots that an older program wrote, or an administrator by hand, count as they stand from now on.

use std::io::Write;

use kernel::{Clock, audit_log::adopt::Adopted};

use crate::{Result, config::Config, database::Databases, roles::Roles};

/// Takes them into the audit log, which says so.
pub async fn run(config: &Config, mut out: impl Write) -> Result<()> {
    let databases = Databases::open_to_adopt(config, &Roles::new(None), &Clock::system()).await?;
    for ground in databases.grounds() {
        for difference in &ground.adopted_schema {
            writeln!(out, "the schema counts as it stands: {difference}")?;
        }
        let (Adopted { rows, events }, lots) = ground.adopt().await?;
        writeln!(out, "{rows} rows, {events} events and {lots} lots count as they stand")?;
    }
    databases.close().await;
    Ok(())
}
