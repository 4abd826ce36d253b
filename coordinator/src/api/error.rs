//! Refusals: one shape everywhere, codes from a closed list, a message that says what to do next.
//!
//! A handler returns a [`Refusal`]; the guard around all routes adds the request's id and writes the body, so that no
//! answer can leave in another shape.

use crate::store::StoreError;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::SignedDuration;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal / $status:ident,)+) => {
        /// Why a request was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorCode { $($(#[doc = $doc])+ $variant,)+ }

        impl ErrorCode {
            /// Every code, in the order of the documents.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word in the body.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The status it goes with.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }
        }
    };
}

codes! {
    /// The body is not the JSON it should be; the message names line, column and field.
    BadJson = "bad_json" / BAD_REQUEST,
    /// The body is not UTF-8.
    NotUtf8 = "not_utf8" / BAD_REQUEST,
    /// The sender speaks another version of the protocol.
    UnsupportedProtocol = "unsupported_protocol" / BAD_REQUEST,
    /// No such action.
    UnknownAction = "unknown_action" / BAD_REQUEST,
    /// `action` is missing.
    MissingAction = "missing_action" / BAD_REQUEST,
    /// `node` is missing.
    MissingNode = "missing_node" / BAD_REQUEST,
    /// That cannot be a node's name.
    BadNodeName = "bad_node_name" / BAD_REQUEST,
    /// A parameter or a field has a value it cannot have.
    BadParameter = "bad_parameter" / BAD_REQUEST,
    /// The request itself is not understood.
    BadRequest = "bad_request" / BAD_REQUEST,
    /// The path names one node and the report another.
    NotYourNode = "not_your_node" / FORBIDDEN,
    /// Nobody has said who sent it.
    NotSignedIn = "not_signed_in" / UNAUTHORIZED,
    /// The token is nobody's, or no longer.
    BadToken = "bad_token" / UNAUTHORIZED,
    /// Whoever sent it may not.
    NotAllowed = "not_allowed" / FORBIDDEN,
    /// No page of ours has sent it.
    CrossSite = "cross_site" / FORBIDDEN,
    /// The request was meant for another host.
    HostNotAllowed = "host_not_allowed" / MISDIRECTED_REQUEST,
    /// No such node.
    UnknownNode = "unknown_node" / NOT_FOUND,
    /// No such finding.
    UnknownFinding = "unknown_finding" / NOT_FOUND,
    /// No such token, or none of the caller's.
    UnknownToken = "unknown_token" / NOT_FOUND,
    /// No such operation.
    UnknownOperation = "unknown_operation" / NOT_FOUND,
    /// No such order is open.
    UnknownOrder = "unknown_order" / NOT_FOUND,
    /// No such page.
    NotFound = "not_found" / NOT_FOUND,
    /// Not with this method.
    MethodNotAllowed = "method_not_allowed" / METHOD_NOT_ALLOWED,
    /// The request did not arrive in time.
    TooSlow = "too_slow" / REQUEST_TIMEOUT,
    /// There is nothing to do it to.
    NothingToDo = "nothing_to_do" / CONFLICT,
    /// The node is there, so it cannot be forgotten.
    StillReports = "still_reports" / CONFLICT,
    /// The class is in mode `observe`: nothing is started.
    ModeObserve = "mode_observe" / CONFLICT,
    /// Something objects to beginning it, or to going on; the message says what and what would help.
    Objected = "objected" / CONFLICT,
    /// Another operation has the node.
    OperationRunning = "operation_running" / CONFLICT,
    /// The node or its volume is protected; nothing overrides that.
    NodeProtected = "node_protected" / CONFLICT,
    /// What was approved is not what would be done now.
    StaleApproval = "stale_approval" / CONFLICT,
    /// One's own yes is no second opinion.
    OwnApproval = "own_approval" / CONFLICT,
    /// There is no way back any more.
    PastNoReturn = "past_no_return" / CONFLICT,
    /// The operation is not where that would mean something.
    NotThatStep = "not_that_step" / CONFLICT,
    /// The body is too long.
    BodyTooLarge = "body_too_large" / PAYLOAD_TOO_LARGE,
    /// The body must be announced as JSON.
    UnsupportedMediaType = "unsupported_media_type" / UNSUPPORTED_MEDIA_TYPE,
    /// Too often.
    TooManyRequests = "too_many_requests" / TOO_MANY_REQUESTS,
    /// Our fault.
    Internal = "internal" / INTERNAL_SERVER_ERROR,
    /// Nobody but root may change anything now.
    ReadOnly = "read_only" / SERVICE_UNAVAILABLE,
    /// The store does not take it now.
    StoreUnavailable = "store_unavailable" / SERVICE_UNAVAILABLE,
    /// The coordinator is about to stop.
    Stopping = "stopping" / SERVICE_UNAVAILABLE,
}

impl ErrorCode {
    /// The code for an answer that some library made, by its status alone.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::REQUEST_TIMEOUT => Self::TooSlow,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub code: ErrorCode,
    /// For people: what was tried, what was found, what to do next.
    pub message: String,
    /// For the log only.
    pub details: Option<String>,
    /// So long until it makes sense to ask again.
    pub retry_after: Option<SignedDuration>,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None, retry_after: None }
    }

    /// Too often; `wait` says for how long not to ask.
    pub fn too_many(wait: SignedDuration) -> Self {
        let seconds = wait.as_secs().saturating_add(1);
        let message = format!("that was too often; ask again in {seconds} s");
        Self {
            retry_after: Some(SignedDuration::from_secs(seconds)),
            ..Self::new(ErrorCode::TooManyRequests, message)
        }
    }

    /// Our own fault; `details` go to the log.
    pub fn internal(details: impl std::fmt::Display) -> Self {
        let message = "the coordinator could not answer; its log has the details under this request's id";
        Self { details: Some(details.to_string()), ..Self::new(ErrorCode::Internal, message) }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self { details: Some(error.to_string()), ..Self::new(ErrorCode::StoreUnavailable, error.to_string()) }
    }
}

impl Refusal {
    /// A person's word took effect, and the disk did not take it.
    pub fn not_kept(error: StoreError) -> Self {
        let refusal = Self::from(error);
        let message = format!(
            "{}; what was said holds until the next restart only: say it again then",
            refusal.message
        );
        Self { message, ..refusal }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_a_word_of_its_own_and_an_error() {
        let mut words: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ErrorCode::ALL.len());
        assert!(ErrorCode::ALL.iter().all(|code| code.status().as_u16() >= 400));
    }
}
