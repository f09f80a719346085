//! An agency with a broker who can be mandated: what the stories about brokers need before their own begins.

use jishi::demo::{
    Fields,
    cast::{House, Plan},
    person::{Person, fresh_key},
    timeline::Who,
};
use serde_json::{Value, json};

use super::market::Market;

pub const DAY: i64 = 86_400;

pub const MANDATE: &str = "query M($id: ID!) { mandate(id: $id) { status commission listingId } }";

/// An agency with a broker.
pub struct Agency {
    pub house: House,
    pub broker: Person,
    pub broker_id: String,
}

impl Agency {
    /// Comes in; `roles` are those of the person who registers it.
    pub async fn come_in(market: &Market, name: &'static str, roles: &'static [&'static str]) -> Agency {
        let plan =
            Plan {
                who: Who { zh: "代理机构", en: "agency" }, name, kind: "TRANSFER_AGENCY", authority: "91", roles
            };
        let house = market.staff.admit(&market.stage, &[plan]).await.unwrap().remove(0);
        let broker = house.hire(&market.stage, Who { zh: "经纪人", en: "broker" }, &["BROKER"]).await.unwrap();
        Agency { house, broker_id: broker.id().await.unwrap(), broker }
    }

    /// A credential that expires in `days`.
    pub fn credential(&self, market: &Market, days: i64) -> Value {
        let now = market.stage.client.now();
        json!({
            "level": "INTERMEDIATE", "number": format!("TB-{}", fresh_key()), "issuer": "省技术市场协会（示例）",
            "issuedAt": now.plus_seconds(-400 * DAY).to_string(), "expiresAt": now.plus_seconds(days * DAY).to_string(),
            "organizationId": self.house.id,
        })
    }

    /// Shows a credential and has it certified; its id.
    pub async fn certified(&self, market: &Market, days: i64) -> String {
        let input = self.credential(market, days);
        let credential = did(&self.broker, "registerBrokerCredential", "brokerCredential { id }", input).await;
        let input = json!({ "brokerCredentialId": credential["id"], "status": "CERTIFIED", "evidence": "证书已核" });
        did(&market.staff.reviewer, "reviewBrokerCredential", "brokerCredential { id }", input).await;
        credential.text_at("/id").unwrap().to_owned()
    }

    /// What the university may offer to the broker.
    pub fn offer(&self, market: &Market) -> Value {
        json!({
            "principalId": market.university.id, "agencyId": self.house.id, "brokerId": self.broker_id,
            "commissionBasisPoints": 333, "expenses": "差旅费凭票 travel",
            "validUntil": market.stage.client.now().plus_seconds(200 * DAY).to_string(),
        })
    }

    /// A mandate that the university has offered; its id.
    pub async fn offered(&self, market: &Market, offer: Value) -> String {
        let mandate = did(&market.university.person, "offerMandate", "mandate { id status }", offer).await;
        assert_eq!(mandate["status"], "OFFERED");
        mandate.text_at("/id").unwrap().to_owned()
    }
}

/// Waits until the mandate stands there, as the person reads it: its steps come as events.
pub async fn until_mandate(market: &Market, person: &Person, id: &str, status: &str) -> Value {
    let ask = || async {
        let read = person.glance(MANDATE, json!({ "id": id })).await?;
        Ok(Some(read["mandate"].clone()).filter(|mandate| mandate["status"] == status))
    };
    market.stage.until(status, ask).await.unwrap()
}

/// Does something that is not refused; what it yields.
pub async fn did(person: &Person, verb: &str, selection: &str, input: Value) -> Value {
    person.act(verb, selection, input).await.unwrap()
}
