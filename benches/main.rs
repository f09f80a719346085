//! The measurements, one a name: `cargo run --release -p exchange-benches -- NAME`. One program, because each would be
//! linked for minutes.

mod guard;
mod hostile;
mod hot_lot;
mod many_lots;
mod peer;
mod place_bid;
mod recovery;
mod start;
mod verify;
mod watchers;
mod whole_way;

use std::io::Write;

use jishi::Result;

const NAMES: &str =
    "guard | hostile | hot_lot | many_lots | peer | place_bid | recovery | start | verify | watchers | whole_way";

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (name, argument) = (arguments.next().unwrap_or_default(), arguments.next());
    match &*name {
        "guard" => guard::run().await?,
        "hostile" => hostile::run().await?,
        "hot_lot" => hot_lot::run(argument).await?,
        "many_lots" => many_lots::run().await?,
        "peer" => peer::run().await?,
        "place_bid" => place_bid::run(argument).await?,
        "recovery" => recovery::run().await?,
        "start" => start::run().await?,
        "verify" => verify::run(argument).await?,
        "watchers" => watchers::run(argument).await?,
        "whole_way" => whole_way::run().await?,
        _ => return Err(format!("which one? {NAMES}").into()),
    }
    Ok(())
}

fn print(line: &str) {
    // A closed pipe ends the printing, not the measuring.
    drop(writeln!(std::io::stdout(), "{line}"));
}
