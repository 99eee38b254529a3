package integration

import (
	"fmt"
	"strings"
	"testing"
)

func TestUpgradeHandsOverPortsSocketAndServices(t *testing.T) {
	d := startLineage(t, "--metrics-port", "0")
	blue, green := startApp(t, "blue"), startApp(t, "green")
	d.must("deploy", "web", "--target", blue.target())
	d.must("deploy", "shop", "--host", "shop.example", "--target", green.target())
	d.must("stop", "shop", "--message", "closed today")

	old := d.newest()
	said := d.upgrade()
	if want := fmt.Sprintf("serves as process %d; process %d ", d.newest(), old); !strings.Contains(said, want) {
		t.Errorf("upgrade said %q, want %q", said, want)
	}
	awaitEnd(t, old)
	if status, body := d.get("a.example", "/"); status != 200 || body != "blue" {
		t.Errorf("got %d, %q after the upgrade, want blue", status, body)
	}
	if status, body := d.get("shop.example", "/"); status != 503 || !strings.Contains(body, "closed today") {
		t.Errorf("got %d, %q of a stopped service after the upgrade", status, body)
	}
	d.must("resume", "shop")
	d.must("deploy", "web", "--target", green.target())
	if status, body := d.get("a.example", "/"); status != 200 || body != "green" {
		t.Errorf("got %d, %q after a deploy to the new process, want green", status, body)
	}
}
