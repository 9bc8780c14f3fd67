// Files from the network.

package connector

import (
	"context"
	"fmt"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"

	"testbridge/phonenet"
)

var matrixTypes = map[phonenet.MessageType]event.MessageType{
	phonenet.TypeImage: event.MsgImage,
	phonenet.TypeVideo: event.MsgVideo,
	phonenet.TypeGIF:   event.MsgVideo,
	phonenet.TypeAudio: event.MsgAudio,
	phonenet.TypeVoice: event.MsgAudio,
	phonenet.TypeFile:  event.MsgFile,
	// A sticker has an event type of its own, and no msgtype.
	phonenet.TypeSticker: "",
}

func uploadMedia(
	ctx context.Context, portal *bridgev2.Portal, intent bridgev2.MatrixAPI, message *phonenet.Message,
) (*event.MessageEventContent, error) {
	media := message.Media
	content := mediaContent(message)
	var err error
	content.URL, content.File, err = intent.UploadMedia(ctx, portal.MXID, media.Data, media.FileName, media.MimeType)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bridgev2.ErrMediaReuploadFailed, err)
	}
	return content, nil
}

// mediaContent is a media message's content without the file's URL. A caption becomes the body.
func mediaContent(message *phonenet.Message) *event.MessageEventContent {
	media := message.Media
	content := &event.MessageEventContent{
		MsgType:  matrixTypes[message.Type],
		Body:     media.FileName,
		FileName: media.FileName,
		Info: &event.FileInfo{
			MimeType: media.MimeType,
			Size:     media.Size,
			Width:    media.Width,
			Height:   media.Height,
			Duration: media.DurationMS,
			MauGIF:   message.Type == phonenet.TypeGIF,
		},
	}
	if message.Text != "" {
		content.Body = message.Text
	}
	if message.Type == phonenet.TypeVoice {
		content.MSC3245Voice = &event.MSC3245Voice{}
		content.MSC1767Audio = &event.MSC1767Audio{Duration: media.DurationMS}
	}
	return content
}
