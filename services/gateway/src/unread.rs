//! Answers that wait for their reader: how many bytes of them an address may leave lying here.
//!
//! Whoever asks and does not read is cut off after some seconds (by the listener); until then its answers take memory.

use axum::{
    body::{Body, Bytes, HttpBody, to_bytes},
    response::Response,
};

use crate::{Addresses, address::Unread};

/// An answer, and its place among the unread ones of its address.
struct Answer {
    bytes: Bytes,
    _unread: Unread,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Counts the answer for its address until all of it is written; none if the address has too many unread. What is
/// streamed is made as it is read, and counts for nothing.
pub async fn counted(addresses: &Addresses, address: &str, response: Response) -> Option<Response> {
    let exact = response.body().size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    let Some(length) = exact.filter(|bytes| *bytes > 0) else { return Some(response) };
    let unread = addresses.unread(address, length)?;
    let (parts, body) = response.into_parts();
    // It lies in memory already, in one piece.
    let bytes = to_bytes(body, length).await.ok()?;
    Some(Response::from_parts(parts, Body::from(Bytes::from_owner(Answer { bytes, _unread: unread }))))
}
