import"./chunk-V4GDPEPD.js";
