//! Where a story is played: an exchange, an audience, and the means to move time.

use std::{
    future::Future,
    time::{Duration, Instant as Moment},
};

use futures::future::{BoxFuture, try_join_all};
use kernel::Instant;
use tokio::time::sleep;

use super::{
    Error, Result,
    client::{Client, Door},
    person::Person,
    timeline::{EXCHANGE, Entry, Timeline, Who, china_time},
    transcript::Transcript,
};

/// How long something that the exchange does by itself may take.
const SOON: Duration = Duration::from_secs(10);

/// Happens while bids are under way in the middle of the bidding, such as the kill and the restart of a process.
/// Returns the new door if the exchange is found elsewhere afterwards.
pub type Interruption<'a> = Box<dyn Fn() -> BoxFuture<'a, Result<Option<Door>>> + Send + Sync + 'a>;

/// A stage.
pub struct Stage<'a> {
    /// The line to the exchange.
    pub client: Client,
    /// Who observes.
    pub timeline: &'a dyn Timeline,
    /// How many raises the timed period sees.
    pub raises: usize,
    /// What comes between.
    pub interruption: Option<Interruption<'a>>,
}

impl<'a> Stage<'a> {
    /// A stage at an exchange in development mode whose staff is seeded.
    pub async fn new(door: Door, timeline: &'a dyn Timeline) -> Result<Stage<'a>> {
        Stage::transcribed(door, timeline, None).await
    }

    /// The same, with everything that is said taken down.
    pub async fn transcribed(
        door: Door,
        timeline: &'a dyn Timeline,
        transcript: Option<Transcript>,
    ) -> Result<Stage<'a>> {
        Ok(Stage { client: Client::new(door, transcript).await?, timeline, raises: 6, interruption: None })
    }

    /// Tells the audience what somebody did and what came of it.
    pub fn tell(&self, who: Who, zh: impl Into<String>, en: impl Into<String>, result: impl Into<String>) {
        let entry = Entry { at: self.client.now(), who, what: (zh.into(), en.into()), result: result.into() };
        self.timeline.entry(&entry);
    }

    /// Moves the exchange's clock to `to`, or leaves it if that is past.
    pub async fn wait_until(&self, to: Instant, zh: &str, en: &str) -> Result<()> {
        let now = self.client.move_clock(to).await?;
        self.tell(EXCHANGE, format!("时间来到{zh}"), format!("time moves to {en}"), china_time(now));
        Ok(())
    }

    /// Renews every login whose token ran out, of which `witness` has one.
    pub async fn refresh_logins(&self, witness: &Person, others: &[&Person]) -> Result<()> {
        let believed = witness.is_believed().await?;
        self.tell(
            witness.who,
            "以十分钟前的令牌请求",
            "asks with a token of before",
            if believed { "ok" } else { "✗ UNAUTHENTICATED" },
        );
        try_join_all(others.iter().chain([&witness]).map(|person| person.refresh_login())).await?;
        let result = format!("{} 人", others.len() + 1);
        self.tell(EXCHANGE, "会话续期，换发令牌", "sessions are refreshed, new tokens issued", result);
        Ok(())
    }

    /// Asks until there is an answer, at most ten seconds long. Only for what the exchange announces nowhere.
    pub async fn until<T, A>(&self, what: &str, ask: impl Fn() -> A) -> Result<T>
    where
        A: Future<Output = Result<Option<T>>>,
    {
        let began = Moment::now();
        while began.elapsed() < SOON {
            if let Some(found) = ask().await? {
                return Ok(found);
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(Error::Late(what.to_owned()))
    }
}
