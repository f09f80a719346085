//! The clerks' terminals.

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::VerifyingKey;
use kernel::{Actor, Call, Error, ErrorCode, Id, Refusal, Result, text};
use sea_orm::ConnectionTrait;
use serde_json::json;
use wire::{
    id::{HallDeviceId, HallSessionId},
    policy::{self, Of, Permission, permit},
    v1,
};

use crate::{
    hall::session::require_open,
    store::hall::{self, hall_device, hall_session},
};

/// Names a terminal and the key that signs its journal.
pub async fn register(call: &Call, input: v1::RegisterHallDeviceInput) -> Result<v1::HallDevice> {
    call.actor.require_known()?;
    let id = HallSessionId::parse(&input.hall_session_id, "hallSessionId")?;
    let hall = hall::for_update(&call.tx, id).await?.ok_or_else(|| Error::not_found("hallSessionId"))?;
    permit(&call.actor, policy::REGISTER_HALL_DEVICE, Of::centre(&hall.centre_id.text(), "hallSessionId"))?;
    require_open(&hall)?;
    let name = text(&input.name, "name", 2, 40)?;
    let key = BASE64URL_NOPAD.decode(input.public_key.as_bytes()).ok();
    let key = key.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let key = key.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok()).filter(|key| !key.is_weak());
    let Some(key) = key else {
        let refusal = Refusal::new(ErrorCode::InvalidInput).at_field("publicKey");
        return Err(refusal.accepting("Ed25519, base64url").into());
    };
    let device = hall_device::Model {
        id: HallDeviceId::fresh(),
        hall_session_id: id,
        name,
        public_key: key.to_bytes().to_vec(),
        last_number: 0,
        uploaded_number: 0,
        heard_at: call.now,
    };
    hall::insert_device(&call.tx, device.clone()).await?;
    let facts = json!({ "deviceId": device.id.text(), "name": device.name, "publicKey": input.public_key });
    call.record("HallDeviceRegistered", &id.text(), facts).await?;
    Ok(device.into())
}

/// A terminal and its hall, if the person may do this there. Only staff of its centre learn whether there is one
/// (promise P-6).
pub async fn terminal(
    db: &impl ConnectionTrait,
    actor: &Actor,
    (device_id, permission): (&str, Permission),
) -> Result<(hall_device::Model, hall_session::Model)> {
    actor.require_known()?;
    let id = HallDeviceId::parse(device_id, "deviceId")?;
    permit(actor, permission, Of::default())?;
    let (device, hall) = hall::device(db, id).await?.ok_or_else(|| Error::not_found("deviceId"))?;
    permit(actor, permission, Of::centre(&hall.centre_id.text(), "deviceId"))?;
    Ok((device, hall))
}

/// The terminal is there.
pub async fn beat(call: &Call, input: v1::SendHallHeartbeatInput) -> Result<v1::HallDevice> {
    let named = (input.device_id.as_str(), policy::SEND_HALL_HEARTBEAT);
    let (device, hall) = terminal(&call.tx, &call.actor, named).await?;
    require_open(&hall)?;
    let before = hall::device_for_update(&call.tx, device.id).await?.ok_or_else(|| Error::not_found("deviceId"))?;
    let after = hall_device::Model { heard_at: call.now.max(before.heard_at), ..before.clone() };
    match hall::move_device(&call.tx, &before, &after).await? {
        true => Ok(after.into()),
        false => Err(Error::Unavailable("the terminal is entering a line".into())),
    }
}
