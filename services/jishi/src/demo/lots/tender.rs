use futures::future::try_join_all;
use kernel::{Instant, Money};
use serde_json::{Value, json};

use super::{
    Parties, Sold, confirm, decided_again,
    notice::{self, Codes, FLOOR, INCREMENT, Notice, ROUND_SECONDS},
};
use crate::demo::{
    Error, Fields, Result,
    cast::{House, yuan},
    check::{Check, read_log},
    stage::Stage,
    timeline::{EXCHANGE, SPECTATOR},
    trustees::{Trustees, opened_again},
};

const TRUSTEES: [&str; 3] = ["公证处", "高校纪检", "交易中心"];

/// How long after the end everything that came in time is surely in the box.
const SETTLED_SECONDS: i64 = 10;

/// The lot while nobody knows what was offered.
struct SealedLot<'a, 's> {
    stage: &'a Stage<'s>,
    parties: &'a Parties,
    codes: &'a Codes,
    session_id: String,
    trustees: Trustees,
    ends_at: Instant,
}

/// Nobody sees an offer before two of three trustees have met; the best one has the lot. The session's id.
pub async fn sell(
    stage: &Stage<'_>,
    (parties, notice): (&Parties, &Notice),
    codes: &Codes,
    checks: &mut Vec<Check>,
) -> Result<String> {
    stage.timeline.chapter("密封报价与开标", "sealed offers and their opening");
    let lot = scheduled(stage, (parties, notice), codes).await?;
    let receipts = lot.sealed().await?;
    checks.push(lot.unseen().await?);
    lot.opened().await?;
    let (_, price) = confirm(stage, parties, &notice.listing_id).await?;
    checks.push(lot.receipts_stand(&receipts).await?);
    checks.push(lot.reopened(price).await?);
    let [_, code, _] = codes;
    let sold = Sold { session_id: &lot.session_id, code, price };
    let again = ("由证据包重算密封标的", "the sealed lot decided again from its bundle");
    checks.push(decided_again(stage, &sold, again).await?);
    Ok(lot.session_id)
}

/// The trustees deal the lot's key, and the qualifier publishes it with the schedule.
async fn scheduled<'a, 's>(
    stage: &'a Stage<'s>,
    (parties, notice): (&'a Parties, &Notice),
    codes: &'a Codes,
) -> Result<SealedLot<'a, 's>> {
    let trustees = Trustees::meet(2, &TRUSTEES)?;
    let key: String = trustees.dealt().text_at("/publicKey")?.chars().take(12).collect();
    let named = format!("{}，公钥 {key}…", TRUSTEES.join("、"));
    stage.tell(SPECTATOR, "三名受托人离线分持私钥，须两人到场", "three trustees deal the key offline, two open", named);
    let starts_at = stage.client.now().plus_seconds(3_600);
    let told = ("公布密封报价的时间与公钥", "publishes the time and the key");
    let session_id = notice::schedule(stage, (parties, notice), (starts_at, &[trustees.dealt()]), told).await?;
    stage.wait_until(starts_at, "密封报价开始", "the start of sealed offers").await?;
    let ends_at = starts_at.plus_seconds(ROUND_SECONDS);
    let lot = SealedLot { stage, parties, codes, session_id, trustees, ends_at };
    stage.until("the box to open", || lot.in_status("FREE")).await?;
    Ok(lot)
}

/// What A and B offer. C only hides that it does not bid.
fn offers() -> [Option<Money>; 3] {
    [Some(Money(FLOOR.0 + INCREMENT.0)), Some(Money(FLOOR.0 + 7 * INCREMENT.0)), None]
}

impl SealedLot<'_, '_> {
    async fn session(&self) -> Result<Value> {
        let query = "query Sealed($id: ID!) { biddingSession(id: $id) { status bidderCount bidCount seq } }";
        let read = self.parties.staff.qualifier.glance(query, json!({ "id": self.session_id })).await?;
        Ok(read.at("/biddingSession")?.clone())
    }

    async fn in_status(&self, status: &str) -> Result<Option<()>> {
        Ok((self.session().await?.text_at("/status")? == status).then_some(()))
    }

    /// All three hand an envelope in; their receipts.
    async fn sealed(&self) -> Result<Vec<Value>> {
        let bidders = self.parties.bidders.iter().zip(self.codes).zip(offers());
        let receipts = try_join_all(bidders.map(|((house, code), amount)| self.hand_in(house, code, amount))).await?;
        for (house, receipt) in self.parties.bidders.iter().zip(&receipts) {
            let commitment: String = receipt.text_at("/commitment")?.chars().take(12).collect();
            let (zh, en) = ("递交密封报价，得到签名回执", "hands an envelope in and gets a signed receipt");
            self.stage.tell(house.person.who, zh, en, format!("承诺 {commitment}…"));
        }
        Ok(receipts)
    }

    async fn hand_in(&self, house: &House, code: &str, amount: Option<Money>) -> Result<Value> {
        let sealed = self.trustees.seal((&self.session_id, code), amount)?;
        let input = json!({
            "sessionId": self.session_id, "organizationId": house.id, "round": 1, "envelope": sealed.envelope,
        });
        let selection = "sealedReceipt { round place commitment receivedAt signature }";
        let receipt = house.person.act("submitSealedBid", selection, input).await?;
        match receipt.text_at("/commitment")? == sealed.commitment {
            true => Ok(receipt),
            false => Err(Error::answer(format!("a receipt for {}", sealed.commitment), receipt)),
        }
    }

    /// Staff sees neither how many may bid nor how many did.
    async fn unseen(&self) -> Result<Check> {
        let session = self.session().await?;
        let found = format!(
            "bidderCount {}，bidCount {}，seq {}",
            session.at("/bidderCount")?,
            session.at("/bidCount")?,
            session.at("/seq")?
        );
        let qualifier = &self.parties.staff.qualifier;
        self.stage.tell(
            qualifier.who,
            "开标前查看：人数、份数、金额均不可见",
            "looks before the opening: nothing to see",
            &found,
        );
        let (zh, en) = ("开标前无人知悉报价", "nobody learns of an offer before the opening");
        Ok(Check::equal(zh, en, found, "bidderCount null，bidCount 0，seq 2"))
    }

    /// One trustee alone opens nothing, a false share is known at once, and with the second true one all is open.
    async fn opened(&self) -> Result<()> {
        let [one, two, three] = TRUSTEES;
        let (stage, qualifier) = (self.stage, &self.parties.staff.qualifier);
        let share = |name: &str, of: &str| -> Result<Value> {
            Ok(json!({ "sessionId": self.session_id, "trustee": name, "share": self.trustees.share(of)? }))
        };
        let early = qualifier.refused("contributeShare", share(one, one)?, "ILLEGAL_TRANSITION").await?;
        stage.tell(qualifier.who, "截止前要求开标", "asks for the opening before the end", early.to_string());
        stage.wait_until(self.ends_at.plus_seconds(SETTLED_SECONDS), "报价截止", "the end of sealed offers").await?;
        stage.until("the end of the round", || self.in_status("OPENING")).await?;
        qualifier.act("contributeShare", "biddingSession { status }", share(one, one)?).await?;
        stage.tell(
            qualifier.who,
            format!("{one}交出份额：一人不能开标"),
            "the first trustee's share: one opens nothing",
            "1 / 2",
        );
        let refused = qualifier.refused("contributeShare", share(two, three)?, "FALSE_SHARE").await?;
        stage.tell(qualifier.who, "冒用他人的份额", "hands in another trustee's share", refused.to_string());
        qualifier.act("contributeShare", "biddingSession { status }", share(three, three)?).await?;
        stage.until("the opening", || self.in_status("SOLD")).await?;
        stage.tell(
            EXCHANGE,
            format!("{three}交出份额，当众逐份开标"),
            "the second share: all envelopes are opened",
            "2 / 2",
        );
        for event in read_log(&self.parties.broker, &self.session_id).await? {
            if event.text_at("/kind")? == "ENVELOPE_OPENED" {
                let amount = event.money_at("/amount").map_or_else(|_| "未报价 no bid".to_owned(), yuan);
                stage.tell(
                    EXCHANGE,
                    "开启一份",
                    "opens an envelope",
                    format!("{} {amount}", event.text_at("/bidderCode")?),
                );
            }
        }
        Ok(())
    }

    /// Each receipt's envelope is the one that was opened under the bidder's own code.
    async fn receipts_stand(&self, receipts: &[Value]) -> Result<Check> {
        let query = "query Log($id: ID!) { auctionEvents(sessionId: $id, first: 100) { nodes { kind bidderCode commitment } } }";
        let read = self.parties.broker.read(query, json!({ "id": self.session_id })).await?;
        let log = read.at("/auctionEvents/nodes")?.as_array().cloned().unwrap_or_default();
        let stands = |(code, receipt): &(&String, &Value)| {
            log.iter().any(|event| {
                event.get("bidderCode") == Some(&json!(code)) && event.get("commitment") == receipt.get("commitment")
            })
        };
        let standing = self.codes.iter().zip(receipts).filter(stands).count();
        let (zh, en) = ("回执与所开密封件一致", "each receipt's envelope is the one that was opened");
        Ok(Check::equal(zh, en, format!("{standing} / 3"), "3 / 3"))
    }

    /// Anybody recovers the key from the published shares and finds the same offers.
    async fn reopened(&self, price: Money) -> Result<Check> {
        let query = "query Openings($id: ID!) { sealedOpenings(sessionId: $id) { round publicKey shares { name share } envelopes { place bidderCode envelope } } }";
        let read = self.parties.broker.glance(query, json!({ "id": self.session_id })).await?;
        let found = opened_again(read.at("/sealedOpenings/0")?, &self.session_id)?;
        let mut expected: Vec<_> = self.codes.iter().cloned().zip(offers().map(Ok)).collect();
        expected.sort_by(|(one, _), (other, _)| one.cmp(other));
        let best = found.iter().filter_map(|(_, opened)| opened.as_ref().ok().copied().flatten()).max();
        Ok(Check {
            zh: "任何人用公布的份额可再次开标",
            en: "anybody opens again with the published shares",
            passed: found == expected && best == Some(price),
            found: format!("{} 份，最高 {}", found.len(), yuan(best.unwrap_or_default())),
        })
    }
}
