use kernel::Money;
use serde_json::{Value, json};

use super::{
    Parties, Sold, confirm, decided_again,
    notice::{self, Codes, FLOOR, INCREMENT, Notice, REOPEN_SECONDS},
};
use crate::demo::{
    Error, Fields, Result,
    cast::{House, yuan},
    check::{Check, numbers, read_log},
    feed::Feed,
    person::fresh_key,
    stage::Stage,
    timeline::{EXCHANGE, SPECTATOR},
};

/// The public half of the hall terminal's key: the example key of RFC 8037, whose private half anybody may know.
const TERMINAL_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// B's number in the hall.
const PADDLE: i32 = 8;

/// The lot while it is called.
struct Court<'a, 's> {
    stage: &'a Stage<'s>,
    parties: &'a Parties,
    session_id: String,
    device_id: String,
    /// The terminal's next line.
    line: i64,
    feed: Feed,
}

fn steps(count: i64) -> Money {
    Money(FLOOR.0.saturating_add(INCREMENT.0.saturating_mul(count)))
}

/// Floor bids and online bids in one order; the holder matches and has the lot. The session's id.
pub async fn sell(
    stage: &Stage<'_>,
    (parties, notice): (&Parties, &Notice),
    codes: &Codes,
    checks: &mut Vec<Check>,
) -> Result<String> {
    stage.timeline.chapter("现场与网络同步竞价", "one lot, in the hall and online");
    let mut court = opened(stage, parties, notice).await?;
    court.called().await?;
    let (winner, price) = confirm(stage, parties, &notice.listing_id).await?;
    let [holder, ..] = &parties.bidders;
    let [code, ..] = codes;
    let found = format!("{} {}", if winner == holder.id { "co-owner A" } else { winner.as_str() }, price);
    let expected = format!("co-owner A {}", steps(3));
    checks.push(Check::equal("优先权人以同价成交", "the holder has the lot at the matched price", found, expected));
    checks.push(one_order(parties, &court.session_id).await?);
    let sold = Sold { session_id: &court.session_id, code, price };
    let again = ("由证据包重算现场标的", "the hall's lot decided again from its bundle");
    checks.push(decided_again(stage, &sold, again).await?);
    Ok(court.session_id)
}

/// Schedules the lot, opens the hall a minute before, and begins.
async fn opened<'a, 's>(stage: &'a Stage<'s>, parties: &'a Parties, notice: &Notice) -> Result<Court<'a, 's>> {
    let Parties { auctioneer, clerk, bidders: [_, b, _], .. } = parties;
    let starts_at = notice.ends_at.plus_seconds(17 * 3_600);
    let told = ("安排次日上午的拍卖", "schedules the auction for the next morning");
    let session_id = notice::schedule(stage, (parties, notice), (starts_at, &[]), told).await?;
    let feed = Feed::open(&stage.client, &session_id).await?;
    stage.wait_until(starts_at.plus_seconds(-60), "开拍前一分钟", "a minute before the start").await?;
    let input = json!({
        "centreId": parties.centre_id, "sessionIds": [session_id], "auctioneerLicence": "拍卖师-示例-0001",
        "houseLicence": "拍卖行-示例-0001", "heartbeatSeconds": 300,
    });
    let hall = auctioneer.act("openHallSession", "hallSession { id status }", input).await?;
    stage.tell(
        auctioneer.who,
        "开启现场会，登记拍卖师与拍卖行资质",
        "opens the hall, with both licences",
        hall.text_at("/status")?,
    );
    let hall_id = hall.text_at("/id")?;
    let input = json!({ "hallSessionId": hall_id, "name": "一号终端", "publicKey": TERMINAL_KEY });
    let device = clerk.act("registerHallDevice", "hallDevice { id }", input).await?;
    let input = json!({ "hallSessionId": hall_id, "organizationId": b.id, "number": PADDLE });
    clerk.act("checkIn", "paddle { number }", input).await?;
    stage.tell(clerk.who, "为乙办理签到，发放号牌", "checks bidder B in: a paddle", format!("{PADDLE} 号"));
    stage.wait_until(starts_at, "拍卖开始", "the start of the auction").await?;
    let device_id = device.text_at("/id")?.to_owned();
    Ok(Court { stage, parties, session_id, device_id, line: 1, feed })
}

impl Court<'_, '_> {
    /// From the first bid to the hammer, and to the end of the time in which the lot could be taken up again.
    async fn called(&mut self) -> Result<()> {
        let Parties { bidders: [a, _, c], auctioneer, clerk, .. } = self.parties;
        self.event("OPENED").await?;
        let beat = json!({ "deviceId": self.device_id });
        clerk.act("sendHallHeartbeat", "hallDevice { id }", beat).await?;
        self.floor_bid(FLOOR).await?;
        self.online_bid(c, steps(1), ("网络加价", "raises online")).await?;
        let asked = json!({ "sessionId": self.session_id, "amount": steps(3).to_string() });
        auctioneer.act("askPrice", "biddingSession { askingPrice }", asked).await?;
        self.event("ASKED").await?;
        self.stage.tell(auctioneer.who, "叫价", "asks a price", yuan(steps(3)));
        self.floor_bid(steps(3)).await?;
        self.online_bid(a, steps(3), ("以同等价格行使优先购买权", "matches the price by the preemption right")).await?;
        let equal = json!({ "sessionId": self.session_id, "organizationId": c.id, "amount": steps(3).to_string() });
        let refused = c.person.refused("placeBid", equal, "NO_PREEMPTION").await?;
        self.stage.tell(c.person.who, "无优先权而出同价", "bids the same price without the right", refused.to_string());
        let lot = json!({ "sessionId": self.session_id });
        let early = auctioneer.refused("dropHammer", lot.clone(), "WARNING_DUE").await?;
        self.stage.tell(auctioneer.who, "未经提示即落槌", "drops the hammer without fair warning", early.to_string());
        auctioneer.act("giveFairWarning", "biddingSession { warnings }", lot.clone()).await?;
        self.event("WARNED").await?;
        self.stage.tell(auctioneer.who, "最后提示", "gives fair warning", "");
        auctioneer.act("dropHammer", "biddingSession { status }", lot).await?;
        let hammered = self.event("HAMMERED").await?;
        self.stage.tell(auctioneer.who, "落槌", "drops the hammer", yuan(hammered.money_at("/amount")?));
        let ends_at = hammered.instant_at("/at")?.plus_seconds(REOPEN_SECONDS);
        self.stage.wait_until(ends_at, "落槌后异议期满", "the end of the time to reopen").await?;
        let sold = self.event("SOLD").await?;
        let result = format!(
            "#{} {} {}",
            sold.number_at("/seq")?,
            sold.text_at("/bidderCode")?,
            yuan(sold.money_at("/amount")?)
        );
        self.stage.tell(EXCHANGE, "成交", "sold", result);
        let seen = format!("{} 条事件", self.feed.events.len());
        self.stage.tell(SPECTATOR, "直播中现场与网络报价同列", "saw hall and online bids in one feed", seen);
        Ok(())
    }

    /// B raises the paddle, and the clerk enters it.
    async fn floor_bid(&mut self, amount: Money) -> Result<()> {
        let input = json!({
            "sessionId": self.session_id, "deviceId": self.device_id, "number": self.line, "operationId": fresh_key(),
            "paddle": PADDLE, "amount": amount.to_string(), "origin": "FLOOR",
        });
        self.line += 1;
        let clerk = &self.parties.clerk;
        let bid = clerk.act("enterHallBid", "bid { seq bidderCode amount }", input).await?;
        self.feed.until(bid.number_at("/seq")?).await?;
        let result = format!("#{} {PADDLE} 号牌 {}", bid.number_at("/seq")?, yuan(amount));
        self.stage.tell(clerk.who, "录入乙的现场举牌", "enters bidder B's floor bid", result);
        Ok(())
    }

    async fn online_bid(&mut self, house: &House, amount: Money, (zh, en): (&str, &str)) -> Result<()> {
        let input = json!({ "sessionId": self.session_id, "organizationId": house.id, "amount": amount.to_string() });
        let bid = house.person.act("placeBid", "bid { seq bidderCode amount preemptionRank }", input).await?;
        self.feed.until(bid.number_at("/seq")?).await?;
        let result = format!("#{} {} {}", bid.number_at("/seq")?, bid.text_at("/bidderCode")?, yuan(amount));
        self.stage.tell(house.person.who, zh, en, result);
        Ok(())
    }

    /// Waits for the next event, which must be of this kind.
    async fn event(&mut self, kind: &str) -> Result<Value> {
        let event = self.feed.next().await?;
        match event.text_at("/kind")? == kind {
            true => Ok(event),
            false => Err(Error::answer(format!("the event {kind}"), event)),
        }
    }
}

/// Bids of the hall and of the net stand in one numbered order.
async fn one_order(parties: &Parties, session_id: &str) -> Result<Check> {
    let log = read_log(&parties.broker, session_id).await?;
    let holes = numbers(&log).into_iter().zip(1..).filter(|(seq, expected)| seq != expected).count();
    let bids = log.iter().filter(|event| event.get("kind") == Some(&json!("BID")));
    let origins: Vec<&str> = bids.filter_map(|bid| bid.get("origin")?.as_str()).collect();
    let found = format!("{}，{holes} 处缺号", origins.join(" "));
    let (zh, en) = ("现场与网络报价同一序列", "hall and online bids in one order");
    Ok(Check::equal(zh, en, found, "FLOOR ONLINE FLOOR ONLINE，0 处缺号"))
}
