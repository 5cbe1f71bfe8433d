import{a}from"./chunk-MYHUBJEP.js";import"./chunk-SFZA7C6N.js";import"./chunk-6Q3CZ2XX.js";import"./chunk-RTTZZBRL.js";import"./chunk-MDDB7QXW.js";export{a as AddTransaction};
