// The network-specific section of the bridge's configuration.

package connector

import (
	_ "embed"
	"strings"
	"text/template"

	up "go.mau.fi/util/configupgrade"
	"gopkg.in/yaml.v3"

	"testbridge/phonenet"
)

// ExampleConfig is the section in the example configuration.
//
//go:embed example-config.yaml
var ExampleConfig string

// Config is the section.
type Config struct {
	DisplaynameTemplate string `yaml:"displayname_template"`
	SyncChatsOnLogin    bool   `yaml:"sync_chats_on_login"`
	StartDelayMS        int    `yaml:"start_delay_ms"`

	CallStartNotices      bool `yaml:"call_start_notices"`
	EnableStatusBroadcast bool `yaml:"enable_status_broadcast"`
	ExtEvPolls            bool `yaml:"extev_polls"`

	displaynameTemplate *template.Template
}

type plainConfig Config

// UnmarshalYAML also compiles the template, so that a mistake in it stops the bridge at its start.
func (c *Config) UnmarshalYAML(node *yaml.Node) error {
	if err := node.Decode((*plainConfig)(c)); err != nil {
		return err
	}
	var err error
	c.displaynameTemplate, err = template.New("displayname").Parse(c.DisplaynameTemplate)
	return err
}

// FormatDisplayname returns an account's name on Matrix.
func (c *Config) FormatDisplayname(account phonenet.Account) string {
	var name strings.Builder
	if err := c.displaynameTemplate.Execute(&name, account); err != nil {
		return account.Name
	}
	return name.String()
}

func upgradeConfig(helper up.Helper) {
	helper.Copy(up.Str, "displayname_template")
	helper.Copy(up.Bool, "sync_chats_on_login")
	helper.Copy(up.Int, "start_delay_ms")
	helper.Copy(up.Bool, "call_start_notices")
	helper.Copy(up.Bool, "enable_status_broadcast")
	helper.Copy(up.Bool, "extev_polls")
}

// GetConfig implements bridgev2.NetworkConnector.
func (tc *TestnetConnector) GetConfig() (string, any, up.Upgrader) {
	return ExampleConfig, &tc.Config, up.SimpleUpgrader(upgradeConfig)
}
