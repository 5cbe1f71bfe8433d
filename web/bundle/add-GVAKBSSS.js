import{a}from"./chunk-TWKVYBQT.js";import"./chunk-PAXKL2EA.js";import"./chunk-SFZA7C6N.js";import"./chunk-I6GBACWP.js";export{a as AddTransaction};
