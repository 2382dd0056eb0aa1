//! `DescribeGroups`, `ListGroups` and `DeleteGroups`.
//!
//! A node answers for the groups that it coordinates. All groups are classic ones.

use std::collections::HashSet;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    GroupId, ListGroupsRequest, ListGroupsResponse,
};

use super::{code, text};
use crate::cluster::{Cluster, CoordinatorOf};
use crate::group::{GroupView, MemberView};
use crate::server::Origin;

/// All that can be done with a group: read, delete, describe, and describe and alter its settings.
const ALL_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

/// Answers `DescribeGroups`. A group that is not there is dead; from version 6 on that is an error.
pub(super) fn describe(
    cluster: &mut Cluster,
    origin: &Origin,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let operations = origin.version >= 3 && request.include_authorized_operations;
    let groups = request.groups.into_iter().map(|id| {
        let coordinator = CoordinatorOf::Group;
        let group = match cluster.check_coordinator(coordinator, &id, origin.node) {
            Err(error) => DescribedGroup::default().with_error_code(error.code()),
            Ok(()) => match cluster.groups.describe(&id) {
                Some(view) => described(view),
                None => dead(&id, origin.version),
            },
        };
        let group = group.with_group_id(id);
        if operations && group.error_code == 0 {
            group.with_authorized_operations(ALL_OPERATIONS)
        } else {
            group
        }
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn dead(id: &str, version: i16) -> DescribedGroup {
    let group = DescribedGroup::default().with_group_state(text("Dead"));
    if version < 6 {
        return group;
    }
    let id: String = id.chars().take(1000).collect();
    group
        .with_error_code(ResponseError::GroupIdNotFound.code())
        .with_error_message(Some(text(format!("Group {id} not found."))))
}

fn described(view: GroupView) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_state(text(view.state.as_str()))
        .with_protocol_type(text(view.protocol_type.unwrap_or_default()))
        .with_protocol_data(text(view.protocol_name.unwrap_or_default()))
        .with_members(view.members.into_iter().map(member).collect())
}

fn member(view: MemberView) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(text(view.member_id))
        .with_group_instance_id(view.instance_id.map(text))
        .with_client_id(text(view.client_id))
        .with_client_host(text(view.client_host))
        .with_member_metadata(view.metadata)
        .with_member_assignment(view.assignment)
}

/// Answers `ListGroups` with the groups of this node. Filters do not mind case.
pub(super) fn list(
    cluster: &mut Cluster,
    origin: &Origin,
    request: &ListGroupsRequest,
) -> ListGroupsResponse {
    let states = &request.states_filter;
    let types = &request.types_filter;
    let wanted = |view: &GroupView| {
        let state = view.state.as_str();
        (states.is_empty() || states.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(state)))
            && (types.is_empty()
                || types.iter().any(|wanted| wanted.eq_ignore_ascii_case("classic")))
            && cluster.check_coordinator(CoordinatorOf::Group, &view.group_id, origin.node).is_ok()
    };
    let groups = cluster.groups.list().into_iter().filter(wanted).map(|view| {
        ListedGroup::default()
            .with_group_id(GroupId(text(view.group_id)))
            .with_protocol_type(text(view.protocol_type.unwrap_or_default()))
            .with_group_state(text(view.state.as_str()))
            .with_group_type(text("classic"))
    });
    ListGroupsResponse::default().with_groups(groups.collect())
}

/// Answers `DeleteGroups`.
pub(super) fn delete(
    cluster: &mut Cluster,
    origin: &Origin,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut seen = HashSet::new();
    let mut results = Vec::with_capacity(request.groups_names.len());
    for id in request.groups_names {
        if !seen.insert(id.clone()) {
            continue;
        }
        let outcome = cluster
            .check_coordinator(CoordinatorOf::Group, &id, origin.node)
            .and_then(|()| cluster.groups.delete(&id));
        let result = DeletableGroupResult::default().with_error_code(code(outcome));
        results.push(result.with_group_id(id));
    }
    DeleteGroupsResponse::default().with_results(results)
}
