import{a}from"./chunk-U4LWRXS4.js";import"./chunk-UPP6CPZE.js";import"./chunk-SFZA7C6N.js";import"./chunk-JPYUCWCT.js";export{a as AddTransaction};
