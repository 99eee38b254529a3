// Chart draws what the bench has measured as an SVG of bars: each proxy's CPU
// time a request, as a ratio to nginx's.
//
//	chart < bench.json > docs/performance.svg
package main

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var samples samples
	if err := json.NewDecoder(in).Decode(&samples); err != nil {
		return fmt.Errorf("the input is not what the bench writes with -json: %w", err)
	}
	groups := samples.groups()
	if len(groups) == 0 {
		return fmt.Errorf("no scenario has figures of %s, which all others are compared with", baseline)
	}
	_, err := io.WriteString(out, draw(groups))
	return err
}

// baseline is the proxy that the others are compared with.
const baseline = "nginx"

// proxies are drawn in this order, in these colors. Others are left out.
var proxies = []struct{ name, label, color string }{
	{"ours", "kamal-proxy", "#2563eb"},
	{"buffered", "kamal-proxy as Kamal deploys", "#93b4f5"},
	{"nginx", "nginx", "#16a34a"},
	{"haproxy", "haproxy", "#a3a3a3"},
	{"go", "Go's ReverseProxy", "#d9a066"},
}

// scenarios are drawn in this order.
var scenarios = []struct{ name, label string }{
	{"small-get", "GET of 1 KiB"},
	{"small-get-rate", "the same at 2,000 a second"},
	{"post-64k", "POST of 64 KiB"},
	{"download-1m", "download of 1 MiB"},
	{"tls-small-get", "GET of 1 KiB, TLS"},
	{"h2-small-get", "GET of 1 KiB, HTTP/2"},
	{"ws-echo", "WebSocket echo"},
}

// samples are the bench's: by scenario, proxy and round.
type samples map[string]map[string][]struct {
	CPU float64 `json:"cpu"` // µs a request
}

// group is one scenario's bars.
type group struct {
	label string
	bars  []bar
}

type bar struct {
	label, color string
	micros       float64
	ratio        float64
}

func (s samples) groups() []group {
	var groups []group
	for _, scenario := range scenarios {
		base := s.median(scenario.name, baseline)
		if base == 0 {
			continue
		}
		g := group{label: scenario.label}
		for _, p := range proxies {
			if micros := s.median(scenario.name, p.name); micros > 0 {
				g.bars = append(g.bars, bar{p.label, p.color, micros, micros / base})
			}
		}
		groups = append(groups, g)
	}
	return groups
}

// median returns the CPU time of the middle round; 0: there is none.
func (s samples) median(scenario, proxy string) float64 {
	var all []float64
	for _, round := range s[scenario][proxy] {
		all = append(all, round.CPU)
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// Sizes, in pixels.
const (
	width     = 860
	left      = 200 // of the bars
	unit      = 150 // a ratio of 1
	most      = 3.6 // the longest bar's ratio
	barHeight = 14
	barGap    = 2
	groupGap  = 16
	top       = 64
)

func draw(groups []group) string {
	var b strings.Builder
	y := top
	for _, g := range groups {
		g.draw(&b, y)
		y += g.height() + groupGap
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12">
<title>CPU time a request, as a ratio to nginx</title>
<rect width="100%%" height="100%%" fill="white"/>
<text x="16" y="24" font-size="15" font-weight="600">CPU time a request, as a ratio to nginx (less is better)</text>
%s<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#16a34a" stroke-dasharray="3 3"/>
%s</svg>
`, width, y, legend(groups), left+unit, top-4, left+unit, y-groupGap+4, b.String())
}

// legend names the proxies that have bars.
func legend(groups []group) string {
	var b strings.Builder
	x := 16
	for _, p := range proxies {
		drawn := slices.ContainsFunc(groups, func(g group) bool {
			return slices.ContainsFunc(g.bars, func(b bar) bool { return b.label == p.label })
		})
		if drawn {
			fmt.Fprintf(&b, `<rect x="%d" y="36" width="12" height="12" fill="%s"/><text x="%d" y="46">%s</text>`+"\n",
				x, p.color, x+17, html.EscapeString(p.label))
			x += 40 + 7*len(p.label)
		}
	}
	return b.String()
}

func (g group) height() int { return len(g.bars) * (barHeight + barGap) }

func (g group) draw(b *strings.Builder, y int) {
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-12, y+g.height()/2+4, html.EscapeString(g.label))
	for _, bar := range g.bars {
		length := int(min(bar.ratio, most) * unit)
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/><text x="%d" y="%d" font-size="11" stroke="white" stroke-width="3" paint-order="stroke">%.2f <tspan fill="#666">%s</tspan></text>`+"\n",
			left, y, length, barHeight, bar.color, left+length+6, y+barHeight-3, bar.ratio, micros(bar.micros))
		y += barHeight + barGap
	}
}

func micros(n float64) string {
	if n < 100 {
		return fmt.Sprintf("%.1f µs", n)
	}
	return fmt.Sprintf("%.0f µs", n)
}
