// Elements that reach beyond the screen, unless an ancestor cuts them off; and areas that scroll sideways.
width => {
  const isCut = (node) => {
    for (let at = node.parentElement; at; at = at.parentElement) {
      if (getComputedStyle(at).overflowX !== "visible" && at.getBoundingClientRect().right <= width + 1) return true;
    }
    return false;
  };
  const wide = [...document.querySelectorAll("body *")]
    .map((node) => [node, node.getBoundingClientRect()])
    .filter(([node, box]) => box.width && box.right > width + 1 && !isCut(node))
    .map(([node]) => node);
  const scrolled = [...document.querySelectorAll("main, .list, .tabs, .tab-body, .health")]
    .filter((node) => node.scrollWidth > node.clientWidth + 1);
  const { scrollWidth } = document.documentElement;
  const page = scrollWidth > width ? [`the page: ${scrollWidth}`] : [];
  return [...page, ...[...wide, ...scrolled].map((node) => `${node.tagName}.${node.className}`)];
}
