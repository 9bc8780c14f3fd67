/** Every migration, oldest first, embedded in the binary. A released migration never changes. */
import gatewayDown from './0001_gateway.down.sql' with { type: 'text' }
import gatewayUp from './0001_gateway.up.sql' with { type: 'text' }
import homeserverDown from './0002_homeserver.down.sql' with { type: 'text' }
import homeserverUp from './0002_homeserver.up.sql' with { type: 'text' }
import sandboxDown from './0003_sandbox.down.sql' with { type: 'text' }
import sandboxUp from './0003_sandbox.up.sql' with { type: 'text' }
import bridgesDown from './0004_bridges.down.sql' with { type: 'text' }
import bridgesUp from './0004_bridges.up.sql' with { type: 'text' }
import deviceEventsDown from './0005_device_events.down.sql' with { type: 'text' }
import deviceEventsUp from './0005_device_events.up.sql' with { type: 'text' }
import messageStatusDown from './0006_message_status.down.sql' with { type: 'text' }
import messageStatusUp from './0006_message_status.up.sql' with { type: 'text' }
import chatPeerDown from './0007_chat_peer.down.sql' with { type: 'text' }
import chatPeerUp from './0007_chat_peer.up.sql' with { type: 'text' }
import webhookOperationsDown from './0008_webhook_operations.down.sql' with { type: 'text' }
import webhookOperationsUp from './0008_webhook_operations.up.sql' with { type: 'text' }
import queueDown from './0009_queue.down.sql' with { type: 'text' }
import queueUp from './0009_queue.up.sql' with { type: 'text' }
import eventIdsDown from './0010_event_ids.down.sql' with { type: 'text' }
import eventIdsUp from './0010_event_ids.up.sql' with { type: 'text' }
import sandboxRefusalDown from './0011_sandbox_refusal.down.sql' with { type: 'text' }
import sandboxRefusalUp from './0011_sandbox_refusal.up.sql' with { type: 'text' }
import deadDeliveriesDown from './0012_dead_deliveries.down.sql' with { type: 'text' }
import deadDeliveriesUp from './0012_dead_deliveries.up.sql' with { type: 'text' }
import voidQueuesDown from './0013_void_queues.down.sql' with { type: 'text' }
import voidQueuesUp from './0013_void_queues.up.sql' with { type: 'text' }
import awaitedLoginsDown from './0014_awaited_logins.down.sql' with { type: 'text' }
import awaitedLoginsUp from './0014_awaited_logins.up.sql' with { type: 'text' }
import refusedMessagesDown from './0015_refused_messages.down.sql' with { type: 'text' }
import refusedMessagesUp from './0015_refused_messages.up.sql' with { type: 'text' }
import eventNamesDown from './0016_event_names.down.sql' with { type: 'text' }
import eventNamesUp from './0016_event_names.up.sql' with { type: 'text' }
import tokenListsDown from './0017_token_lists.down.sql' with { type: 'text' }
import tokenListsUp from './0017_token_lists.up.sql' with { type: 'text' }
import roomFeaturesDown from './0018_room_features.down.sql' with { type: 'text' }
import roomFeaturesUp from './0018_room_features.up.sql' with { type: 'text' }
import groupsDown from './0019_groups.down.sql' with { type: 'text' }
import groupsUp from './0019_groups.up.sql' with { type: 'text' }
import homeserverHistoryDown from './0020_homeserver_history.down.sql' with { type: 'text' }
import homeserverHistoryUp from './0020_homeserver_history.up.sql' with { type: 'text' }
import voiceDown from './0021_voice.down.sql' with { type: 'text' }
import voiceUp from './0021_voice.up.sql' with { type: 'text' }
import mediaQuotaDown from './0022_media_quota.down.sql' with { type: 'text' }
import mediaQuotaUp from './0022_media_quota.up.sql' with { type: 'text' }
import ghostPhonesDown from './0023_ghost_phones.down.sql' with { type: 'text' }
import ghostPhonesUp from './0023_ghost_phones.up.sql' with { type: 'text' }
import mediaAgeDown from './0024_media_age.down.sql' with { type: 'text' }
import mediaAgeUp from './0024_media_age.up.sql' with { type: 'text' }
import sandboxMediaUseDown from './0025_sandbox_media_use.down.sql' with { type: 'text' }
import sandboxMediaUseUp from './0025_sandbox_media_use.up.sql' with { type: 'text' }
import ghostPhonesPhoneDown from './0026_ghost_phones_phone.down.sql' with { type: 'text' }
import ghostPhonesPhoneUp from './0026_ghost_phones_phone.up.sql' with { type: 'text' }
import waitingCaptionsDown from './0027_waiting_captions.down.sql' with { type: 'text' }
import waitingCaptionsUp from './0027_waiting_captions.up.sql' with { type: 'text' }
import plannerStatisticsDown from './0028_planner_statistics.down.sql' with { type: 'text' }
import plannerStatisticsUp from './0028_planner_statistics.up.sql' with { type: 'text' }
import sparseLookupsDown from './0029_sparse_lookups.down.sql' with { type: 'text' }
import sparseLookupsUp from './0029_sparse_lookups.up.sql' with { type: 'text' }
import devicePaceDown from './0030_device_pace.down.sql' with { type: 'text' }
import devicePaceUp from './0030_device_pace.up.sql' with { type: 'text' }
import uncountedAttemptsDown from './0031_uncounted_attempts.down.sql' with { type: 'text' }
import uncountedAttemptsUp from './0031_uncounted_attempts.up.sql' with { type: 'text' }
import eventsDown from './0032_events.down.sql' with { type: 'text' }
import eventsUp from './0032_events.up.sql' with { type: 'text' }
import unreadInRoomsDown from './0033_unread_in_rooms.down.sql' with { type: 'text' }
import unreadInRoomsUp from './0033_unread_in_rooms.up.sql' with { type: 'text' }
import bridgeProgramsDown from './0034_bridge_programs.down.sql' with { type: 'text' }
import bridgeProgramsUp from './0034_bridge_programs.up.sql' with { type: 'text' }
import profileFieldsDown from './0035_profile_fields.down.sql' with { type: 'text' }
import profileFieldsUp from './0035_profile_fields.up.sql' with { type: 'text' }
import chatKindsDown from './0036_chat_kinds.down.sql' with { type: 'text' }
import chatKindsUp from './0036_chat_kinds.up.sql' with { type: 'text' }
import movedChatsDown from './0037_moved_chats.down.sql' with { type: 'text' }
import movedChatsUp from './0037_moved_chats.up.sql' with { type: 'text' }
import historyBatchesDown from './0038_history_batches.down.sql' with { type: 'text' }
import historyBatchesUp from './0038_history_batches.up.sql' with { type: 'text' }
import restrictedDevicesDown from './0039_restricted_devices.down.sql' with { type: 'text' }
import restrictedDevicesUp from './0039_restricted_devices.up.sql' with { type: 'text' }
import sandboxPostsDown from './0040_sandbox_posts.down.sql' with { type: 'text' }
import sandboxPostsUp from './0040_sandbox_posts.up.sql' with { type: 'text' }
import chatMessagesDown from './0041_chat_messages.down.sql' with { type: 'text' }
import chatMessagesUp from './0041_chat_messages.up.sql' with { type: 'text' }
import sandboxMovesDown from './0042_sandbox_moves.down.sql' with { type: 'text' }
import sandboxMovesUp from './0042_sandbox_moves.up.sql' with { type: 'text' }
import whoIsWhoDown from './0043_who_is_who.down.sql' with { type: 'text' }
import whoIsWhoUp from './0043_who_is_who.up.sql' with { type: 'text' }
import chatIdsDown from './0044_chat_ids.down.sql' with { type: 'text' }
import chatIdsUp from './0044_chat_ids.up.sql' with { type: 'text' }
import forgottenMessagesDown from './0045_forgotten_messages.down.sql' with { type: 'text' }
import forgottenMessagesUp from './0045_forgotten_messages.up.sql' with { type: 'text' }
import deviceNamesDown from './0046_device_names.down.sql' with { type: 'text' }
import deviceNamesUp from './0046_device_names.up.sql' with { type: 'text' }
import webhookFiltersDown from './0047_webhook_filters.down.sql' with { type: 'text' }
import webhookFiltersUp from './0047_webhook_filters.up.sql' with { type: 'text' }
import messageContentDown from './0048_message_content.down.sql' with { type: 'text' }
import messageContentUp from './0048_message_content.up.sql' with { type: 'text' }
import chatListsDown from './0049_chat_lists.down.sql' with { type: 'text' }
import chatListsUp from './0049_chat_lists.up.sql' with { type: 'text' }
import recipientsByRoomDown from './0050_recipients_by_room.down.sql' with { type: 'text' }
import recipientsByRoomUp from './0050_recipients_by_room.up.sql' with { type: 'text' }
import sandboxChatsDown from './0051_sandbox_chats.down.sql' with { type: 'text' }
import sandboxChatsUp from './0051_sandbox_chats.up.sql' with { type: 'text' }
import scheduledMessagesDown from './0052_scheduled_messages.down.sql' with { type: 'text' }
import scheduledMessagesUp from './0052_scheduled_messages.up.sql' with { type: 'text' }
import actsDown from './0053_acts.down.sql' with { type: 'text' }
import actsUp from './0053_acts.up.sql' with { type: 'text' }
import oneHistoryDown from './0054_one_history.down.sql' with { type: 'text' }
import oneHistoryUp from './0054_one_history.up.sql' with { type: 'text' }
import sandboxAvatarsDown from './0055_sandbox_avatars.down.sql' with { type: 'text' }
import sandboxAvatarsUp from './0055_sandbox_avatars.up.sql' with { type: 'text' }
import filesByUrlDown from './0056_files_by_url.down.sql' with { type: 'text' }
import filesByUrlUp from './0056_files_by_url.up.sql' with { type: 'text' }
import chatSearchDown from './0057_chat_search.down.sql' with { type: 'text' }
import chatSearchUp from './0057_chat_search.up.sql' with { type: 'text' }
import earlierMessagesDown from './0058_earlier_messages.down.sql' with { type: 'text' }
import earlierMessagesUp from './0058_earlier_messages.up.sql' with { type: 'text' }
import searchTermsDown from './0059_search_terms.down.sql' with { type: 'text' }
import searchTermsUp from './0059_search_terms.up.sql' with { type: 'text' }
import resendTimesDown from './0060_resend_times.down.sql' with { type: 'text' }
import resendTimesUp from './0060_resend_times.up.sql' with { type: 'text' }

export interface Migration {
  /** Its number; migrations run in this order. */
  version: number
  name: string
  up: string
  down: string
}

export const migrations: readonly Migration[] = [
  { version: 1, name: 'gateway', up: gatewayUp, down: gatewayDown },
  { version: 2, name: 'homeserver', up: homeserverUp, down: homeserverDown },
  { version: 3, name: 'sandbox', up: sandboxUp, down: sandboxDown },
  { version: 4, name: 'bridges', up: bridgesUp, down: bridgesDown },
  { version: 5, name: 'device_events', up: deviceEventsUp, down: deviceEventsDown },
  { version: 6, name: 'message_status', up: messageStatusUp, down: messageStatusDown },
  { version: 7, name: 'chat_peer', up: chatPeerUp, down: chatPeerDown },
  { version: 8, name: 'webhook_operations', up: webhookOperationsUp, down: webhookOperationsDown },
  { version: 9, name: 'queue', up: queueUp, down: queueDown },
  { version: 10, name: 'event_ids', up: eventIdsUp, down: eventIdsDown },
  { version: 11, name: 'sandbox_refusal', up: sandboxRefusalUp, down: sandboxRefusalDown },
  { version: 12, name: 'dead_deliveries', up: deadDeliveriesUp, down: deadDeliveriesDown },
  { version: 13, name: 'void_queues', up: voidQueuesUp, down: voidQueuesDown },
  { version: 14, name: 'awaited_logins', up: awaitedLoginsUp, down: awaitedLoginsDown },
  { version: 15, name: 'refused_messages', up: refusedMessagesUp, down: refusedMessagesDown },
  { version: 16, name: 'event_names', up: eventNamesUp, down: eventNamesDown },
  { version: 17, name: 'token_lists', up: tokenListsUp, down: tokenListsDown },
  { version: 18, name: 'room_features', up: roomFeaturesUp, down: roomFeaturesDown },
  { version: 19, name: 'groups', up: groupsUp, down: groupsDown },
  { version: 20, name: 'homeserver_history', up: homeserverHistoryUp, down: homeserverHistoryDown },
  { version: 21, name: 'voice', up: voiceUp, down: voiceDown },
  { version: 22, name: 'media_quota', up: mediaQuotaUp, down: mediaQuotaDown },
  { version: 23, name: 'ghost_phones', up: ghostPhonesUp, down: ghostPhonesDown },
  { version: 24, name: 'media_age', up: mediaAgeUp, down: mediaAgeDown },
  { version: 25, name: 'sandbox_media_use', up: sandboxMediaUseUp, down: sandboxMediaUseDown },
  { version: 26, name: 'ghost_phones_phone', up: ghostPhonesPhoneUp, down: ghostPhonesPhoneDown },
  { version: 27, name: 'waiting_captions', up: waitingCaptionsUp, down: waitingCaptionsDown },
  { version: 28, name: 'planner_statistics', up: plannerStatisticsUp, down: plannerStatisticsDown },
  { version: 29, name: 'sparse_lookups', up: sparseLookupsUp, down: sparseLookupsDown },
  { version: 30, name: 'device_pace', up: devicePaceUp, down: devicePaceDown },
  { version: 31, name: 'uncounted_attempts', up: uncountedAttemptsUp, down: uncountedAttemptsDown },
  { version: 32, name: 'events', up: eventsUp, down: eventsDown },
  { version: 33, name: 'unread_in_rooms', up: unreadInRoomsUp, down: unreadInRoomsDown },
  { version: 34, name: 'bridge_programs', up: bridgeProgramsUp, down: bridgeProgramsDown },
  { version: 35, name: 'profile_fields', up: profileFieldsUp, down: profileFieldsDown },
  { version: 36, name: 'chat_kinds', up: chatKindsUp, down: chatKindsDown },
  { version: 37, name: 'moved_chats', up: movedChatsUp, down: movedChatsDown },
  { version: 38, name: 'history_batches', up: historyBatchesUp, down: historyBatchesDown },
  { version: 39, name: 'restricted_devices', up: restrictedDevicesUp, down: restrictedDevicesDown },
  { version: 40, name: 'sandbox_posts', up: sandboxPostsUp, down: sandboxPostsDown },
  { version: 41, name: 'chat_messages', up: chatMessagesUp, down: chatMessagesDown },
  { version: 42, name: 'sandbox_moves', up: sandboxMovesUp, down: sandboxMovesDown },
  { version: 43, name: 'who_is_who', up: whoIsWhoUp, down: whoIsWhoDown },
  { version: 44, name: 'chat_ids', up: chatIdsUp, down: chatIdsDown },
  { version: 45, name: 'forgotten_messages', up: forgottenMessagesUp, down: forgottenMessagesDown },
  { version: 46, name: 'device_names', up: deviceNamesUp, down: deviceNamesDown },
  { version: 47, name: 'webhook_filters', up: webhookFiltersUp, down: webhookFiltersDown },
  { version: 48, name: 'message_content', up: messageContentUp, down: messageContentDown },
  { version: 49, name: 'chat_lists', up: chatListsUp, down: chatListsDown },
  { version: 50, name: 'recipients_by_room', up: recipientsByRoomUp, down: recipientsByRoomDown },
  { version: 51, name: 'sandbox_chats', up: sandboxChatsUp, down: sandboxChatsDown },
  { version: 52, name: 'scheduled_messages', up: scheduledMessagesUp, down: scheduledMessagesDown },
  { version: 53, name: 'acts', up: actsUp, down: actsDown },
  { version: 54, name: 'one_history', up: oneHistoryUp, down: oneHistoryDown },
  { version: 55, name: 'sandbox_avatars', up: sandboxAvatarsUp, down: sandboxAvatarsDown },
  { version: 56, name: 'files_by_url', up: filesByUrlUp, down: filesByUrlDown },
  { version: 57, name: 'chat_search', up: chatSearchUp, down: chatSearchDown },
  { version: 58, name: 'earlier_messages', up: earlierMessagesUp, down: earlierMessagesDown },
  { version: 59, name: 'search_terms', up: searchTermsUp, down: searchTermsDown },
  { version: 60, name: 'resend_times', up: resendTimesUp, down: resendTimesDown },
]
