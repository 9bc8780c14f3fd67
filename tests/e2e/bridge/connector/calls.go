// Incoming calls, of which only a notice comes to Matrix.

package connector

import (
	"context"
	"fmt"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/event"

	"testbridge/phonenet"
)

func (c *TestnetClient) handleCall(evt phonenet.Event) {
	call := evt.Call
	if evt.By == c.account() || !c.main.Config.CallStartNotices {
		return
	}
	key, group, err := c.chatOf(call.Group, evt.By)
	if err != nil {
		return // the network was reset meanwhile
	}
	c.login.QueueRemoteEvent(&simplevent.Message[*phonenet.Call]{
		EventMeta: simplevent.EventMeta{
			Type:         bridgev2.RemoteEventMessage,
			PortalKey:    key,
			Sender:       c.senderIn(group, evt.By),
			CreatePortal: true,
			Timestamp:    evt.At,
		},
		ID:                 networkid.MessageID(call.ID),
		Data:               call,
		ConvertMessageFunc: convertCall,
	})
}

func convertCall(
	_ context.Context, _ *bridgev2.Portal, _ bridgev2.MatrixAPI, call *phonenet.Call,
) (*bridgev2.ConvertedMessage, error) {
	kind := event.BeeperActionMessageCallTypeVoice
	if call.Video {
		kind = event.BeeperActionMessageCallTypeVideo
	}
	return &bridgev2.ConvertedMessage{Parts: []*bridgev2.ConvertedMessagePart{{
		Type: event.EventMessage,
		Content: &event.MessageEventContent{
			MsgType: event.MsgText,
			Body:    fmt.Sprintf("Incoming %s call. Use the Testnet app to answer.", kind),
			BeeperActionMessage: &event.BeeperActionMessage{
				Type: event.BeeperActionMessageCall, CallType: kind,
			},
		},
	}}}, nil
}
