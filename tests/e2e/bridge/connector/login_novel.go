// A login step of a kind that no client knows. bridgev2 refuses to send one, so that the login's
// step is an input, which is renamed on its way out.

package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"

	"maunium.net/go/mautrix/bridgev2"
)

// novelKind is the kind of step.
const novelKind = "hologram"

type novelLogin struct{}

var _ bridgev2.LoginProcessUserInput = (*novelLogin)(nil)

func (*novelLogin) Start(context.Context) (*bridgev2.LoginStep, error) {
	return &bridgev2.LoginStep{
		Type:            bridgev2.LoginStepTypeUserInput,
		StepID:          LoginStepIDNovel,
		Instructions:    "Hold the hologram in front of your phone",
		UserInputParams: &bridgev2.LoginUserInputParams{Fields: []bridgev2.LoginInputDataField{}},
	}, nil
}

func (*novelLogin) SubmitUserInput(context.Context, map[string]string) (*bridgev2.LoginStep, error) {
	return nil, ErrLoginTimeout
}

func (*novelLogin) Cancel() {}

// RenameNovelStep is middleware that makes the first step of the flow one of an unknown kind.
func RenameNovelStep(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/v3/login/start/"+LoginFlowIDNovel) {
			next.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.Code)
		_, _ = w.Write(renamed(answer.Body.Bytes()))
	})
}

func renamed(body []byte) []byte {
	var step map[string]any
	if json.Unmarshal(body, &step) != nil || step["type"] != string(bridgev2.LoginStepTypeUserInput) {
		return body
	}
	step["type"] = novelKind
	step[novelKind] = step[string(bridgev2.LoginStepTypeUserInput)]
	delete(step, string(bridgev2.LoginStepTypeUserInput))
	var encoded bytes.Buffer
	if err := json.NewEncoder(&encoded).Encode(step); err != nil {
		return body
	}
	return encoded.Bytes()
}
