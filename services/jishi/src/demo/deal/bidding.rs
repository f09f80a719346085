use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use futures::future::try_join;
use kernel::{Instant, Money};
use serde_json::{Value, json};

use super::{
    Parties,
    offer::{self, Offer},
};
use crate::demo::{
    Error, Fields, Result,
    cast::{House, yuan},
    check::Check,
    feed::Feed,
    person::{Act, fresh_key},
    stage::Stage,
    timeline::{EXCHANGE, SPECTATOR, china_time},
};

/// A session that ended with a sale.
pub struct Sale {
    pub session_id: String,
    /// Every acknowledged bid.
    pub receipts: Vec<Value>,
    /// The last event.
    pub sold: Value,
    /// What a spectator saw.
    pub feed: Feed,
    pub checks: Vec<Check>,
}

const BID: &str = "bid { sessionId seq bidderCode amount at closesAt }";

/// Seconds between two raises of the timed period; less than its cycle.
const BETWEEN_RAISES: i64 = 40;

/// Bids that the spectator misses at least.
const MISSED: usize = 2;

/// The session under way.
struct Hall<'a, 's> {
    stage: &'a Stage<'s>,
    parties: &'a Parties,
    session_id: String,
    feed: Feed,
    receipts: Vec<Value>,
    increment: Money,
    /// What leads, or what the first bid may equal.
    price: Money,
}

/// The whole session: free period, timed period, close.
pub async fn sell(stage: &Stage<'_>, parties: &Parties, offer: &Offer) -> Result<Sale> {
    stage.timeline.chapter("网络竞价", "online bidding");
    let (session_id, starts_at) = offer::schedule(stage, parties, offer).await?;
    let feed = Feed::open(&stage.client, &session_id).await?;
    let seen = format!("#{} {}", feed.snapshot.number_at("/seq")?, feed.snapshot.text_at("/status")?);
    stage.tell(SPECTATOR, "打开竞价直播，先收到快照", "opens the live feed and gets a snapshot", seen);
    let mut hall =
        Hall { stage, parties, session_id, feed, receipts: Vec::new(), increment: offer.increment, price: offer.floor };
    let [a, ..] = &parties.bidders;
    hall.try_bid(a, offer.floor, "SESSION_NOT_OPEN", ("竞价未开始即出价", "bids before the start")).await?;
    stage.wait_until(starts_at, "竞价开始", "the start of bidding").await?;
    hall.event("OPENED", ("自由竞价期开始", "the free period begins")).await?;
    let check = hall.free(offer.floor).await?;
    stage.wait_until(starts_at.plus_seconds(offer.free_seconds), "自由竞价期满", "the end of the free period").await?;
    hall.event("TIMED", ("限时竞价期开始", "the timed period begins")).await?;
    hall.timed().await?;
    let sold = hall.end().await?;
    Ok(Sale { session_id: hall.session_id, receipts: hall.receipts, sold, feed: hall.feed, checks: vec![check] })
}

impl Hall<'_, '_> {
    fn input(&self, house: &House, amount: Money) -> Value {
        json!({ "sessionId": self.session_id, "organizationId": house.id, "amount": amount.to_string() })
    }

    fn steps(&self, steps: i64) -> Money {
        Money(self.price.0.saturating_add(self.increment.0.saturating_mul(steps)))
    }

    /// Places a bid under a key, without waiting for the feed.
    async fn place(&self, house: &House, amount: Money, key: &str) -> Result<Value> {
        house.person.act_under(Act { verb: "placeBid", selection: BID, key }, self.input(house, amount)).await
    }

    /// A bid that is accepted, and that the spectator sees.
    async fn bid(&mut self, house: &House, amount: Money, (zh, en): (&str, &str)) -> Result<()> {
        let receipt = self.place(house, amount, &fresh_key()).await?;
        self.accepted(house, receipt, (zh, en)).await
    }

    async fn accepted(&mut self, house: &House, receipt: Value, (zh, en): (&str, &str)) -> Result<()> {
        let seen = self.feed.until(receipt.number_at("/seq")?).await?;
        for field in ["bidderCode", "amount", "at", "closesAt"] {
            if seen.get(field) != receipt.get(field) {
                return Err(Error::answer("the feed to show the acknowledged bid", json!([receipt, seen])));
            }
        }
        self.price = receipt.money_at("/amount")?;
        let (code, closes_at) = (receipt.text_at("/bidderCode")?, receipt.instant_at("/closesAt")?);
        let result =
            format!("#{} {code} {}，{} 截止", receipt.number_at("/seq")?, yuan(self.price), clock_time(closes_at));
        self.stage.tell(house.person.who, zh, en, result);
        self.receipts.push(receipt);
        Ok(())
    }

    /// A bid that is refused.
    async fn try_bid(&self, house: &House, amount: Money, code: &str, (zh, en): (&str, &str)) -> Result<()> {
        let refused = house.person.refused("placeBid", self.input(house, amount), code).await?;
        self.stage.tell(house.person.who, zh, en, refused.to_string());
        Ok(())
    }

    /// Waits for an event that time brings.
    async fn event(&mut self, kind: &str, (zh, en): (&str, &str)) -> Result<Value> {
        let event = self.feed.next().await?;
        if event.text_at("/kind")? != kind {
            return Err(Error::answer(format!("the event {kind}"), event));
        }
        let until = match event.instant_at("/closesAt") {
            Ok(at) => format!("，{} 截止", clock_time(at)),
            Err(_) => String::new(),
        };
        self.stage.tell(EXCHANGE, zh, en, format!("#{} {kind}{until}", event.number_at("/seq")?));
        Ok(event)
    }

    /// The free period, with one refusal of each sort, and a retry that changes nothing (promise P-7).
    async fn free(&mut self, floor: Money) -> Result<Check> {
        let Parties { bidders: [a, b, c], university, broker, unqualified, .. } = self.parties;
        self.bid(a, floor, ("以起始价首次出价", "bids the starting price")).await?;
        let half = Money(self.increment.0 / 2);
        let (below, between) = (self.price.plus(half)?, self.steps(1).plus(half)?);
        self.try_bid(b, below, "BELOW_MIN_INCREMENT", ("加价不足一个幅度", "raises by less than the increment"))
            .await?;
        self.try_bid(b, between, "NOT_STEP_MULTIPLE", ("加价不是整数倍", "raises by one and a half increments"))
            .await?;
        self.bid(b, self.steps(1), ("加价一个幅度", "raises by one increment")).await?;
        self.try_bid(b, self.steps(1), "ALREADY_LEADING", ("领先时再加价", "raises while leading")).await?;
        self.try_bid(unqualified, self.steps(1), "NOT_ELIGIBLE", ("无资格出价", "bids without being eligible")).await?;
        let own = broker.refused("placeBid", self.input(university, self.steps(1)), "OWN_LISTING").await?;
        self.stage.tell(broker.who, "转让方给自己的项目出价", "bids for the own listing", own.to_string());

        let (key, amount) = (fresh_key(), self.steps(2));
        let receipt = self.place(c, amount, &key).await?;
        self.accepted(c, receipt.clone(), ("加价两个幅度", "raises by two increments")).await?;
        let again = self.place(c, amount, &key).await?;
        let result = format!("#{} 同一回执", again.number_at("/seq")?);
        self.stage.tell(c.person.who, "以同一幂等键重发", "sends it again under the same key", result);
        let found = format!("#{} {}", again.number_at("/seq")?, again.text_at("/amount")?);
        Ok(Check {
            zh: "同键重发得到同一回执", en: "a retry gets the same receipt", passed: again == receipt, found
        })
    }

    /// The timed period: each raise restarts the cycle. In the middle the spectator loses the line.
    async fn timed(&mut self) -> Result<()> {
        let mut turns = self.parties.bidders.iter().cycle();
        for raise in 0..self.stage.raises {
            if raise == self.stage.raises / 2 {
                self.interrupted(&mut turns).await?;
            }
            let soon = self.stage.client.now().plus_seconds(BETWEEN_RAISES);
            self.stage.client.move_clock(soon).await?;
            let Some(house) = turns.next() else { return Ok(()) };
            self.bid(house, self.steps(1), ("加价，限时周期重新计时", "raises; the cycle restarts")).await?;
        }
        Ok(())
    }

    /// Without a line the spectator misses some bids, and whatever the stage has planned happens while bids are under
    /// way: they go on until it is over.
    async fn interrupted<'h>(&mut self, turns: &mut impl Iterator<Item = &'h House>) -> Result<()> {
        self.feed.hang_up();
        self.stage.tell(SPECTATOR, "直播断线", "loses the line", "");
        let over = AtomicBool::new(false);
        let interruption = async {
            if let Some(interrupt) = &self.stage.interruption {
                if let Some(door) = interrupt().await? {
                    self.stage.client.move_to(door);
                }
                self.stage.tell(EXCHANGE, "中途打断已结束", "the interruption is over", "");
            }
            over.store(true, Relaxed);
            Ok::<(), Error>(())
        };
        let bids = async {
            let mut missed = Vec::new();
            while missed.len() < MISSED || !over.load(Relaxed) {
                let Some(house) = turns.next() else { break };
                let steps = i64::try_from(missed.len() + 1).unwrap_or(i64::MAX);
                missed.push((house, self.place(house, self.steps(steps), &fresh_key()).await?));
            }
            Ok::<_, Error>(missed)
        };
        let (missed, ()) = try_join(bids, interruption).await?;
        for (house, receipt) in missed {
            self.accepted(house, receipt, ("断线期间加价", "raises while the line is down")).await?;
        }
        let last = self.feed.events.last().map_or(Ok(0), |event| event.number_at("/seq"))?;
        let result = format!("第 {} 条线路，补到 #{last}", self.feed.lines);
        self.stage.tell(SPECTATOR, "按序号续订，补齐漏掉的事件", "resumes by number and gets what it missed", result);
        Ok(())
    }

    /// Silence for one cycle.
    async fn end(&mut self) -> Result<Value> {
        let last = self.receipts.last().ok_or_else(|| Error::Line("nobody bid".into()))?;
        let closes_at: Instant = last.instant_at("/closesAt")?;
        self.stage.wait_until(closes_at, "限时周期无人加价", "the end of a silent cycle").await?;
        let sold = self.event("SOLD", ("竞价结束，成交", "bidding ends with a sale")).await?;
        let [a, ..] = &self.parties.bidders;
        self.try_bid(a, self.steps(1), "SESSION_CLOSED", ("结束后出价", "bids after the end")).await?;
        Ok(sold)
    }
}

fn clock_time(at: Instant) -> String {
    china_time(at).split_off(6)
}
