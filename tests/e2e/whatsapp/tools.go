//go:build tools

// Package tools names the program that go.mod pins, a main package: it can be built, not imported.
package tools

import _ "go.mau.fi/mautrix-whatsapp/cmd/mautrix-whatsapp"
