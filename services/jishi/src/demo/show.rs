//! The verb `jishi demo`: an exchange of its own in a temporary directory, all stories, and the checks.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::Instant as Moment,
};

use super::{
    check::Check, client::Door, deal, financing, lots, stage::Stage, timeline::Printed, transcript::Transcript,
};
use crate::{Result, config::Config, serve::Running};

/// What the demo may be told.
#[derive(clap::Args, Clone, Debug)]
pub struct Demo {
    /// Write the deal's real requests and answers to this file, as Markdown.
    #[arg(long, value_name = "FILE")]
    transcript: Option<PathBuf>,
    /// How many raises the timed bidding period sees.
    #[arg(long, value_name = "NUMBER", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=500))]
    raises: u16,
}

/// Plays all stories and shows them on `out`. Fails unless every check holds.
pub async fn show(demo: Demo, out: impl Write + Send) -> Result<()> {
    let began = Moment::now();
    let folder = Folder::fresh()?;
    let config = Config::embedded(&folder.0)?;
    let running = crate::serve::start(config, None).await?;
    let printed = Printed::new(out);
    printed.line("技市演示：一次成果转化从挂牌到结算，另有现场拍卖、密封投标与融资 · Jishi demo: one deal from listing to settlement, an auction in the hall, a sealed tender, a financing");
    let played = play(&running, &demo, &printed).await;
    running.shutdown().await;
    printed.finish();
    let checks = played?;
    printed.line("");
    for check in &checks {
        let mark = if check.passed { "✓" } else { "✗" };
        printed.line(&format!("{mark} {} · {}: {}", check.zh, check.en, check.found));
    }
    let failed = checks.iter().filter(|check| !check.passed).count();
    let millis = began.elapsed().as_millis();
    printed.line(&format!(
        "\n{} 项核对，{failed} 项不符，用时 {millis} 毫秒 · {} checks, {failed} failed, {millis} ms",
        checks.len(),
        checks.len()
    ));
    if failed == 0 { Ok(()) } else { Err(format!("{failed} checks failed").into()) }
}

async fn play(running: &Running, demo: &Demo, printed: &Printed<impl Write + Send>) -> Result<Vec<Check>> {
    let door = Door::at(running.http.trim_start_matches("http://"));
    let transcript = demo.transcript.as_ref().map(|_| Transcript::default());
    let mut stage = Stage::transcribed(door.clone(), printed, transcript.clone()).await?;
    stage.raises = usize::from(demo.raises);
    let mut checks = deal::play(&stage).await?.checks;
    let stage = Stage::new(door, printed).await?;
    checks.extend(lots::play(&stage).await?.checks);
    checks.extend(financing::play(&stage).await?.checks);
    if let (Some(transcript), Some(file)) = (transcript, &demo.transcript) {
        write_down(&transcript, file).map_err(|error| format!("{}: {error}", file.display()))?;
        printed.line(&format!("\n逐字记录 · transcript: {}", file.display()));
    }
    Ok(checks)
}

fn write_down(transcript: &Transcript, file: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    transcript.write(&mut out)?;
    out.flush()
}

/// A directory of one run.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn fresh() -> std::io::Result<Folder> {
        let path = std::env::temp_dir().join(format!("jishi-demo-{}", kernel::fresh_uuid()));
        fs::create_dir(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // SQLite may still be putting its side files away. What cannot be removed is left to the system.
        for _ in 0..20 {
            if fs::remove_dir_all(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
