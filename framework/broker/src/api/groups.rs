//! `JoinGroup`, `SyncGroup`, `Heartbeat`, `LeaveGroup`.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use tokio::sync::oneshot;

use super::{code, text};
use crate::cluster::{Cluster, CoordinatorOf, Now};
use crate::group::{Join, JoinAnswer, Sync, SyncAnswer};
use crate::server::{Origin, Shared};

pub(super) fn optional(text: Option<StrBytes>) -> Option<String> {
    text.map(|text| text.to_string())
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

pub(super) async fn join(
    shared: &Shared,
    origin: &Origin,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let version = origin.version;
    let member_id = request.member_id.to_string();
    // The oldest version has one timeout for both.
    let rebalance_timeout =
        if version >= 1 { request.rebalance_timeout_ms } else { request.session_timeout_ms };
    let join = Join {
        group_id: request.group_id.to_string(),
        member_id: member_id.clone(),
        instance_id: optional(request.group_instance_id),
        protocol_type: request.protocol_type.to_string(),
        protocols: (request.protocols.into_iter())
            .map(|protocol| (protocol.name.to_string(), own(&protocol.metadata)))
            .collect(),
        session_timeout: millis(request.session_timeout_ms),
        rebalance_timeout: millis(rebalance_timeout),
        client_id: origin.client_id.clone(),
        client_host: format!("/{}", origin.client_host),
        require_known_member_id: version >= 4,
        reason: optional(request.reason),
        supports_skipping_assignment: version >= 9,
    };
    let (reply, answer) = oneshot::channel();
    {
        let now = shared.now().instant;
        let cluster = &mut *shared.cluster();
        let here = cluster.check_coordinator(CoordinatorOf::Group, &join.group_id, origin.node);
        match here {
            Ok(()) => cluster.groups.join(join, now, reply),
            Err(error) => return joined(version, failed(member_id, error)),
        }
    }
    let answer = answer.await;
    joined(version, answer.unwrap_or_else(|_| failed(member_id, ResponseError::NotCoordinator)))
}

/// Bytes of a request, without the request they are a part of: they are kept for long.
fn own(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn failed(member_id: String, error: ResponseError) -> JoinAnswer {
    JoinAnswer {
        error: Some(error),
        member_id,
        generation_id: -1,
        protocol_type: None,
        protocol_name: None,
        leader: String::new(),
        skip_assignment: false,
        members: Vec::new(),
    }
}

fn joined(version: i16, answer: JoinAnswer) -> JoinGroupResponse {
    let members = answer.members.into_iter().map(|(id, instance, metadata)| {
        let member =
            JoinGroupResponseMember::default().with_member_id(text(id)).with_metadata(metadata);
        if version >= 5 { member.with_group_instance_id(instance.map(text)) } else { member }
    });
    // Before version 7 the name could not be null.
    let protocol_name = match answer.protocol_name {
        None if version < 7 => Some(String::new()),
        name => name,
    };
    let response = JoinGroupResponse::default()
        .with_error_code(answer.error.map_or(0, |error| error.code()))
        .with_generation_id(answer.generation_id)
        .with_protocol_name(protocol_name.map(text))
        .with_leader(text(answer.leader))
        .with_member_id(text(answer.member_id))
        .with_members(members.collect());
    let response = if version >= 7 {
        response.with_protocol_type(answer.protocol_type.map(text))
    } else {
        response
    };
    if version >= 9 { response.with_skip_assignment(answer.skip_assignment) } else { response }
}

pub(super) async fn sync(
    shared: &Shared,
    origin: &Origin,
    request: SyncGroupRequest,
) -> SyncGroupResponse {
    let assignments = request.assignments.into_iter();
    let sync = Sync {
        group_id: request.group_id.to_string(),
        generation_id: request.generation_id,
        member_id: request.member_id.to_string(),
        instance_id: optional(request.group_instance_id),
        protocol_type: optional(request.protocol_type),
        protocol_name: optional(request.protocol_name),
        assignments: assignments.map(|a| (a.member_id.to_string(), own(&a.assignment))).collect(),
    };
    let refused = |error: ResponseError| SyncGroupResponse::default().with_error_code(error.code());
    let (reply, answer) = oneshot::channel();
    {
        let now = shared.now().instant;
        let cluster = &mut *shared.cluster();
        let here = cluster.check_coordinator(CoordinatorOf::Group, &sync.group_id, origin.node);
        match here {
            Ok(()) => cluster.groups.sync(sync, now, reply),
            Err(error) => return refused(error),
        }
    }
    let Ok(SyncAnswer { error, protocol_type, protocol_name, assignment }) = answer.await else {
        return refused(ResponseError::NotCoordinator);
    };
    let response = SyncGroupResponse::default()
        .with_error_code(error.map_or(0, |error| error.code()))
        .with_assignment(assignment);
    if origin.version < 5 {
        return response;
    }
    response.with_protocol_type(protocol_type.map(text)).with_protocol_name(protocol_name.map(text))
}

pub(super) fn heartbeat(
    cluster: &mut Cluster,
    origin: &Origin,
    request: &HeartbeatRequest,
    now: Now,
) -> HeartbeatResponse {
    let group = &request.group_id.0;
    let outcome =
        cluster.check_coordinator(CoordinatorOf::Group, group, origin.node).and_then(|()| {
            cluster.groups.heartbeat(
                group,
                request.generation_id,
                &request.member_id,
                request.group_instance_id.as_deref(),
                now.instant,
            )
        });
    HeartbeatResponse::default().with_error_code(code(outcome))
}

pub(super) fn leave(
    cluster: &mut Cluster,
    origin: &Origin,
    request: LeaveGroupRequest,
    now: Now,
) -> LeaveGroupResponse {
    let members: Vec<(String, Option<String>)> = if origin.version >= 3 {
        let each = request.members.into_iter();
        each.map(|m| (m.member_id.to_string(), optional(m.group_instance_id))).collect()
    } else {
        vec![(request.member_id.to_string(), None)]
    };
    let group = &request.group_id.0;
    let outcome = cluster
        .check_coordinator(CoordinatorOf::Group, group, origin.node)
        .and_then(|()| cluster.groups.leave(group, members.clone(), now.instant));
    let response = LeaveGroupResponse::default();
    match outcome {
        Err(error) => response.with_error_code(error.code()),
        // Older versions have one member, whose error is that of the whole.
        Ok(each) if origin.version < 3 => {
            response.with_error_code(each.into_iter().map(code).find(|c| *c != 0).unwrap_or(0))
        }
        Ok(each) => {
            let members = members.into_iter().zip(each).map(|((id, instance), outcome)| {
                MemberResponse::default()
                    .with_member_id(text(id))
                    .with_group_instance_id(instance.map(text))
                    .with_error_code(code(outcome))
            });
            response.with_members(members.collect())
        }
    }
}
