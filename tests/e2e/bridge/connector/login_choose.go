// A login that begins with a choice, and one that no client knows.

package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"slices"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"
)

// choices are the flows to choose from, by the words that are shown.
var choices = map[string]string{
	"QR code":      LoginFlowIDQR,
	"Pairing code": LoginFlowIDCode,
	"Phone number": LoginFlowIDPhone,
}

// chooseLogin is a login by one of the choices, with a picture to look at.
type chooseLogin struct {
	login
	chosen bridgev2.LoginProcess
}

var (
	_ bridgev2.LoginProcessUserInput      = (*chooseLogin)(nil)
	_ bridgev2.LoginProcessDisplayAndWait = (*chooseLogin)(nil)
	_ bridgev2.LoginProcessWebAuthn       = (*chooseLogin)(nil)
)

func (l *chooseLogin) Start(context.Context) (*bridgev2.LoginStep, error) {
	picture, err := pictureOf(120, 40)
	if err != nil {
		return nil, err
	}
	return &bridgev2.LoginStep{
		Type:         bridgev2.LoginStepTypeUserInput,
		StepID:       LoginStepIDChoose,
		Instructions: "Choose how to log in",
		UserInputParams: &bridgev2.LoginUserInputParams{
			Fields: []bridgev2.LoginInputDataField{{
				Type:    bridgev2.LoginInputFieldTypeSelect,
				ID:      "method",
				Name:    "Method",
				Options: optionsToChoose(),
			}, {
				Type:      bridgev2.LoginInputFieldTypeCaptchaCode,
				ID:        "captcha",
				Name:      "Letters in the picture",
				Optional:  true,
				MaxLength: 8,
			}},
			Attachments: []*bridgev2.LoginUserInputAttachment{{
				Type:     event.MsgImage,
				FileName: "captcha.png",
				Content:  picture,
				Info:     bridgev2.LoginUserInputAttachmentInfo{MimeType: "image/png", Width: 120, Height: 40, Size: len(picture)},
			}},
		},
	}, nil
}

func optionsToChoose() []string {
	options := make([]string, 0, len(choices))
	for option := range choices {
		options = append(options, option)
	}
	slices.Sort(options)
	return options
}

// pictureOf draws a striped PNG, of a size in pixels.
func pictureOf(width, height int) ([]byte, error) {
	drawn := image.NewGray(image.Rect(0, 0, width, height))
	for x := range width {
		for y := range height {
			drawn.SetGray(x, y, color.Gray{Y: uint8(x * 255 / width)})
		}
	}
	var encoded bytes.Buffer
	err := png.Encode(&encoded, drawn)
	return encoded.Bytes(), err
}

var errNoSuchStep = errors.New("the chosen login has no such step")

func (l *chooseLogin) SubmitUserInput(ctx context.Context, input map[string]string) (*bridgev2.LoginStep, error) {
	if l.chosen == nil {
		var err error
		if l.chosen, err = l.main.CreateLogin(ctx, l.user, choices[input["method"]]); err != nil {
			return nil, err
		}
		return l.chosen.Start(ctx)
	}
	if process, ok := l.chosen.(bridgev2.LoginProcessUserInput); ok {
		return process.SubmitUserInput(ctx, input)
	}
	return nil, errNoSuchStep
}

func (l *chooseLogin) Wait(ctx context.Context) (*bridgev2.LoginStep, error) {
	if process, ok := l.chosen.(bridgev2.LoginProcessDisplayAndWait); ok {
		return process.Wait(ctx)
	}
	return nil, errNoSuchStep
}

func (l *chooseLogin) SubmitWebAuthnResponse(ctx context.Context, response json.RawMessage) (*bridgev2.LoginStep, error) {
	if process, ok := l.chosen.(bridgev2.LoginProcessWebAuthn); ok {
		return process.SubmitWebAuthnResponse(ctx, response)
	}
	return nil, errNoSuchStep
}

func (l *chooseLogin) Cancel() {
	if l.chosen != nil {
		l.chosen.Cancel()
	}
}
