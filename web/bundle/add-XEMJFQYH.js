import{a}from"./chunk-B3CQYTPZ.js";import"./chunk-LGWMFOJY.js";import"./chunk-SFZA7C6N.js";import"./chunk-LJDGQAMP.js";export{a as AddTransaction};
