import{c as a}from"./chunk-TYSAZSN3.js";import"./chunk-6CIKZJ47.js";import"./chunk-SFZA7C6N.js";import"./chunk-INZFPB5J.js";export{a as AddTransaction};
