package proof

import (
	"bytes"
	"fmt"
	"html"
	"slices"
)

// curve is one picture: y over minutes.
type curve struct {
	title, unit string
	x, y        []float64
}

const (
	pictureWidth, pictureHeight = 720.0, 220.0
	left, right, top, bottom    = 60.0, 12.0, 30.0, 28.0
)

// svg draws from zero, so that a flat line looks flat and growth looks as large as it is.
func (c curve) svg() []byte {
	endX, endY := max(slices.Max(c.x), 1e-9), max(slices.Max(c.y)*1.15, 1)
	px := func(x float64) float64 { return left + x/endX*(pictureWidth-left-right) }
	py := func(y float64) float64 { return pictureHeight - bottom - y/endY*(pictureHeight-top-bottom) }
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12" role="img">`+"\n", pictureWidth, pictureHeight)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="%g" y="18" font-size="14" fill="#222">%s</text>`+"\n", left, html.EscapeString(c.title))
	for i := range 5 {
		y := endY * float64(i) / 4
		fmt.Fprintf(&b, `<path d="M%g %.1fH%g" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end" fill="#555">%.0f %s</text>`+"\n",
			left, py(y), pictureWidth-right, left-6, py(y)+4, y, c.unit)
		x := endX * float64(i) / 4
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="middle" fill="#555">%.1f min</text>`+"\n", min(px(x), pictureWidth-right-20), pictureHeight-8, x)
	}
	b.WriteString(`<path fill="none" stroke="#0a6" stroke-width="1.6" d="`)
	for i := range c.x {
		fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(i, 1)], px(c.x[i]), py(c.y[i]))
	}
	b.WriteString("\"/>\n</svg>\n")
	return b.Bytes()
}
